-- name: resolve_references
-- The refs that references mean, in order, from one snapshot; NULL where there is none.
select refinery.resolve_reference(u.branch, u.id, u.revision, $4) as ref
from unnest($1::text[], $2::text[], $3::integer[]) with ordinality as u (branch, id, revision, place)
order by u.place;

-- name: last_position
-- Where the ledger ends.
select position from refinery.refinements order by position desc limit 1;

-- name: position_at_time
-- The last position that is not after a time; no row before the first.
select position from refinery.refinements where time <= $1 order by time desc, position desc limit 1;

-- name: highest_revisions
-- The number of the latest version of each line, in order; 0 where there is none. $1 branches, $2 ids.
select coalesce(h.revision, 0) as revision
from unnest($1::text[], $2::text[]) with ordinality as l (branch, id, place),
     lateral refinery.latest(l.branch, l.id, 9223372036854775807) h
order by l.place;

-- name: branch_levels
-- How many branches each of some branches is looked up on: itself, and those that it was forked from. $1 names.
select b.name, cardinality(c.names) as levels
from unnest($1::text[]) as b (name), lateral refinery.branch_chain(b.name, 0) c;
