-- The references of a pinned schema with their refs, by jsonpath: $refResolved is a string only beside a reference.
create or replace function refinery.schema_pins(pinned jsonb)
returns table (written text, ref text, floating boolean)
language sql immutable parallel safe
as $$
select w.written, o.referrer ->> '$refResolved', strpos(split_part(w.written, '#', 1), '?') = 0
from jsonb_path_query(pinned, 'strict $.** ? (@."$refResolved".type() == "string")') as o (referrer),
     lateral (select coalesce(o.referrer ->> '$ref', o.referrer ->> '$refOriginal')) as w (written)
$$;
