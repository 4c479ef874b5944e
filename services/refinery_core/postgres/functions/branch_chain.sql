-- A branch and those that it was forked from, up to main, and how far each is seen from it at a position. No row where there
-- is no such branch.
create or replace function refinery.branch_chain(branch text, as_of bigint, out names text[], out untils bigint[])
returns setof record
language sql stable
as $$
with recursive chain (name, parent, fork_position, seen_until, depth) as (
    select b.name, b.parent, b.fork_position, branch_chain.as_of, 0 from refinery.branches b where b.name = branch_chain.branch
    union all
    select b.name, b.parent, b.fork_position, least(c.seen_until, c.fork_position), c.depth + 1
    from chain c, lateral (select * from refinery.branches p where p.name = c.parent limit 1) b
)
select array_agg(c.name order by c.depth), array_agg(c.seen_until order by c.depth) from chain c having count(*) > 0
$$;
