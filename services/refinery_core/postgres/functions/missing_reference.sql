-- The refusal of a draft whose prototype or schema pins something that does not exist.
create or replace function refinery.missing_reference(draft jsonb, ordinal integer, vibes jsonb) returns jsonb
language sql immutable parallel safe
as $$ select refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object('field', format('drafts[%s]', ordinal), 'reference', r.ref))
from (
    select draft ->> 'prototype_ref' where draft ? 'prototype_ref'
    union all
    select p.ref from refinery.schema_pins(draft -> 'schema') p
) as r (ref)
where not vibes ? r.ref limit 1 $$;
