-- The refs of all Vibes that a pinned schema is composed from, sorted.
create or replace function refinery.schema_dependencies(pinned jsonb, extra jsonb default '{}') returns text[]
language sql stable
return array(select c.ref from refinery.schema_closure(pinned, extra) c order by c.ref collate "C");
