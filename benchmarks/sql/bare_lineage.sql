-- The walk of TraceLineage as one recursive query: every Vibe once, with its depth.
with recursive walk (ref, depth) as (
    select $1::text collate "C", 0
    union
    select e.to_ref, w.depth + 1 from walk w join refinery.vibe_refs e on e.from_ref = w.ref and e.to_ref <> w.ref where w.depth < 100
)
select w.ref, min(w.depth) as depth, v.type, v.position
from walk w join refinery.vibes v on v.ref = w.ref group by w.ref, v.type, v.position order by 2, 4;
