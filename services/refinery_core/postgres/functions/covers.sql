-- Whether one of some patterns covers a name, or another pattern whole. A pattern is a name, "prefix/**" or "**".
create or replace function refinery.covers(patterns text[], name text) returns boolean
language sql immutable parallel safe
as $$
select exists (
    select from unnest(patterns) p
    where p in ('**', covers.name) or (right(p, 3) = '/**' and starts_with(covers.name, left(p, -2))))
$$;
