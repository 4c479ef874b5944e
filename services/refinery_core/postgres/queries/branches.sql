-- name: branch_by_name
-- One branch.
select name, parent, fork_position, ref from refinery.branches where name = $1;

-- name: branch_chain
-- A branch and those that it was forked from, and how far each is seen from it.
select u.name, u.seen_until
from refinery.branch_chain($1, $2) c, unnest(c.names, c.untils) with ordinality as u (name, seen_until, place)
order by u.place;

-- name: list_branches
-- By name, as far as there are so many. $1..$2: names from, before, $3 last name, $4 size.
select name, parent, fork_position, ref from refinery.branches
where name >= $1 and name < $2 and name > $3 order by name limit $4;
