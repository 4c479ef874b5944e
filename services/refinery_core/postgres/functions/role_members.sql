-- The members that a Role's solution names. Solutions from before there was a schema of Roles may hold anything.
create or replace function refinery.role_members(solution jsonb) returns table (member text)
language sql immutable parallel safe
as $$
select distinct m #>> '{}'
from jsonb_array_elements(case when jsonb_typeof(solution -> 'members') = 'array' then solution -> 'members' else '[]' end) m
where jsonb_typeof(m) = 'string' and m #>> '{}' <> ''
$$;
