-- name: branch_by_name
-- One branch.
select name, parent, fork_position, ref from refinery.branches where name = $1;

-- name: branch_chain
-- A branch and those that it was forked from, and how far each is seen from it.
with recursive chain (name, parent, fork_position, seen_until, depth) as (
    select name, parent, fork_position, $2::bigint, 0 from refinery.branches where name = $1
    union all
    select b.name, b.parent, b.fork_position, least(c.seen_until, c.fork_position), c.depth + 1
    from chain c,
         lateral (select * from refinery.branches b where b.name = c.parent limit 1) b
)
select name, seen_until from chain order by depth;

-- name: list_branches
-- By name, as far as there are so many. $1..$2: names from, before, $3 last name, $4 size.
select name, parent, fork_position, ref from refinery.branches
where name >= $1 and name < $2 and name > $3 order by name limit $4;
