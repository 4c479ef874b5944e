-- The drafts of a request in order, with their slots in what look_up() found: one for each branch, NULL where the branch
-- does not exist; `names` are the refs of the prototype and of the Vibes that the schema pins; `role` has the members and
-- rules of a Role.
create or replace function refinery.drafts_of(request jsonb, slots jsonb)
returns table (
    ordinal integer, id text, type text, branches text[], expected integer, foretold text, prototype_ref text, names text[],
    content_digest bytea, role jsonb, lines integer[], id_slot integer)
language sql immutable parallel safe
as $$
select d.place::integer - 1, d.draft ->> 'id', d.draft ->> 'type',
       array(select jsonb_array_elements_text(d.draft -> 'branches')),
       (d.draft ->> 'expected_revision')::integer, d.draft ->> 'foretold', d.draft ->> 'prototype_ref',
       array_remove(array(select jsonb_array_elements_text(d.draft -> 'schema_pins')) || (d.draft ->> 'prototype_ref'), null),
       decode(d.draft ->> 'content_digest', 'hex'), d.draft -> 'role',
       array(select (slots -> (b || ' ' || (d.draft ->> 'id')))::integer
             from jsonb_array_elements_text(d.draft -> 'branches') b),
       (slots -> (d.draft ->> 'id'))::integer
from jsonb_array_elements(request -> 'drafts') with ordinality as d (draft, place)
order by d.place
$$;
