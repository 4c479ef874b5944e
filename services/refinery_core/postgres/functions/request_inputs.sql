-- The inputs of a request in the order of its fields: where each stands, how it was written, and its slot in what look_up()
-- found. A string is an exact ref; {reference, branch, id, revision} the latest (revision null) or a numbered version.
create or replace function refinery.request_inputs(request jsonb, slots jsonb)
returns table (list text, field text, reference text, slot integer)
language sql immutable parallel safe
as $$
select l.list, l.list || case l.list when 'author_ref' then '' else format('[%s]', i.place - 1) end,
       coalesce(i.input ->> 'reference', i.input #>> '{}'),
       (slots -> case when jsonb_typeof(i.input) = 'string' then i.input #>> '{}'
                 else (i.input ->> 'branch') || ' ' || (i.input ->> 'id') || coalesce('?' || (i.input ->> 'revision'), '')
                 end)::integer
from (values
        (1, 'author_ref', jsonb_build_array(request -> 'author')), (2, 'target_refs', request -> 'targets'),
        (3, 'instruction_refs', request -> 'instructions'), (4, 'budget_refs', request -> 'budgets')
     ) as l (number, list, inputs),
     jsonb_array_elements(l.inputs) with ordinality as i (input, place)
order by l.number, i.place
$$;
