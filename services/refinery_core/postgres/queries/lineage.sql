-- The last column counts the edges that were read, left out or not; where all were, a row says only that.
-- Each Vibe's edges are a look into the index of their own, whatever the planner believes of how many there are.

-- name: edges_up
-- The edges from $1[$2:] to what made it, the youngest of it first, without what is in $1. $3 types, $4 as of, $5 at most.
with edges as materialized (
    select e.*
    from unnest(($1::text[])[$2:]) as n (ref), lateral (
        select e.from_ref, e.to_ref, e.type from refinery.vibe_refs e
        where e.from_ref = n.ref and e.type = any ($3) limit $5
    ) e
    limit $5
)
select f.*, e.count
from (select count(*) from edges) e left join (
    select e.from_ref as near, e.to_ref as far, e.type, v.type as far_type, v.position
    from edges e join refinery.vibes v on v.ref = e.to_ref
    where v.position <= $4 and e.to_ref not in (select s.ref from unnest($1) as s (ref))
) f on true
order by f.position desc, f.far desc, f.near, f.type;

-- name: edges_down
-- The edges to $1[$2:] from what came of it, the oldest of it first, without what is in $1. $3 types, $4 as of, $5 at most.
with edges as materialized (
    select e.*
    from unnest(($1::text[])[$2:]) as n (ref), lateral (
        select e.to_ref, e.from_ref, e.type, e.position from refinery.vibe_refs e
        where e.to_ref = n.ref and e.type = any ($3) and e.position <= $4 limit $5
    ) e
    limit $5
)
select f.*, e.count
from (select count(*) from edges) e left join (
    select e.to_ref as near, e.from_ref as far, e.type, v.type as far_type, e.position
    from edges e join refinery.vibes v on v.ref = e.from_ref
    where e.from_ref not in (select s.ref from unnest($1) as s (ref))
) f on true
order by f.position, f.far, f.near, f.type;
