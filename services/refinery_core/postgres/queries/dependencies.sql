-- name: direct_dependencies
-- A page of what a Vibe's schema refers to, by ref. $2 last ref, $3 size.
select e.to_ref as ref, 1 as depth, e.floating
from refinery.vibe_refs e
where e.from_ref = $1 and e.type = 'schema' and e.to_ref > $2
order by e.to_ref limit $3;

-- name: transitive_dependencies
-- A page of what a Vibe's schema is composed from, nearest first, then by ref. $2..$3: last key, $4 size.
with recursive reached (ref, depth, floating) as (
    select e.to_ref, 1, e.floating from refinery.vibe_refs e where e.from_ref = $1 and e.type = 'schema'
    union
    select e.to_ref, r.depth + 1, e.floating
    from reached r join refinery.vibe_refs e on e.from_ref = r.ref and e.type = 'schema'
), nearest (ref, depth, floating) as (
    select distinct on (r.ref) r.ref, r.depth, r.floating from reached r order by r.ref, r.depth, r.floating desc
)
select n.ref, n.depth, n.floating from nearest n
where (n.depth, n.ref) > ($2::integer, $3::text)
order by n.depth, n.ref limit $4;

-- "position + 0" is a filter and never a bound of an index: what is read is what stands in the order of the page.

-- name: direct_dependents
-- A page of the direct dependents of a Vibe, by ref. $2 as of, $3 last ref, $4 size.
select e.from_ref as ref, 1 as depth, e.floating
from refinery.vibe_refs e
where e.to_ref = $1 and e.type = 'schema' and e.from_ref > $3 and e.position + 0 <= $2
order by e.from_ref limit $4;

-- name: direct_dependents_of_id
-- A page of the direct dependents of all versions of an id that a line of branches sees, by ref. $2 as of, $3 last ref, $4 size.
-- $5..$6: the branches and how far each is seen.
select e.from_ref as ref, 1 as depth, bool_or(e.floating) as floating
from refinery.vibe_refs e
where e.to_id = $1 and e.type = 'schema' and e.to_revision > 0 and e.from_ref > $3 and e.position + 0 <= $2 and (
    select true
    from unnest($5::text[], $6::bigint[]) as c (branch, seen_until)
    cross join lateral (
        select b.ref, b.position from refinery.vibe_branches b
        where b.branch = c.branch and b.id = $1 and b.revision = e.to_revision limit 1
    ) b
    where b.ref = e.to_ref and b.position <= c.seen_until limit 1)
group by e.from_ref order by e.from_ref limit $4;

-- name: dependents_of_some
-- The direct dependents of some Vibes: the first $3 of each, by ref. $2 as of.
select a.ref as near, e.ref, e.floating
from unnest($1::text[]) as a (ref)
cross join lateral (
    select e.from_ref as ref, e.floating from refinery.vibe_refs e
    where e.to_ref = a.ref and e.type = 'schema' and e.position + 0 <= $2 order by e.from_ref limit $3
) e;
