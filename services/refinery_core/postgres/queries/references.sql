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

-- name: next_revisions
-- The number that a new version of an id would get on some branches.
select coalesce(max(l.revision), 0) + 1 as revision
from unnest($2::text[]) as b (branch), lateral refinery.latest(b.branch, $1, 9223372036854775807) l;
