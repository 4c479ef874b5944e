-- name: edges_up
-- The edges from a set of Vibes to what made them. $2 types, $3 as of, $4 at most.
select e.from_ref, e.to_ref, e.type, v.type as vibe_type, v.position
from refinery.vibe_refs e join refinery.vibes v on v.ref = e.to_ref
where e.from_ref = any ($1) and e.type = any ($2) and v.position <= $3 limit $4;

-- name: edges_down
-- The edges to a set of Vibes from what came of them. $2 types, $3 as of, $4 at most.
select e.to_ref, e.from_ref, e.type, v.type as vibe_type, v.position
from refinery.vibe_refs e join refinery.vibes v on v.ref = e.from_ref
where e.to_ref = any ($1) and e.type = any ($2) and e.position <= $3 limit $4;
