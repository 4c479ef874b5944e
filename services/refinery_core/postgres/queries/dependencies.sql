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

-- name: direct_dependents
-- A page of whose schemas refer to some Vibes, by ref. $1 Vibes, $2 as of, $3 last ref, $4 size.
select p.ref, 1 as depth, bool_or(p.floating) as floating
from unnest($1::text[]) as a (ref),
     lateral (
         select e.from_ref as ref, e.floating from refinery.vibe_refs e
         where e.to_ref = a.ref and e.type = 'schema' and e.position <= $2 and e.from_ref > $3
         order by e.from_ref limit $4
     ) p
group by p.ref order by p.ref limit $4;

-- name: transitive_dependents
-- A page of whose schemas are composed from some Vibes, nearest first, then by ref. $1 Vibes, $2 as of, $3..$4: last key, $5 size.
with recursive reached (ref, depth, floating) as (
    select e.from_ref, 1, e.floating from refinery.vibe_refs e
    where e.to_ref = any ($1::text[]) and e.type = 'schema' and e.position <= $2
    union
    select e.from_ref, r.depth + 1, e.floating
    from reached r join refinery.vibe_refs e on e.to_ref = r.ref and e.type = 'schema' and e.position <= $2
), nearest (ref, depth, floating) as (
    select distinct on (r.ref) r.ref, r.depth, r.floating from reached r order by r.ref, r.depth, r.floating desc
)
select n.ref, n.depth, n.floating from nearest n
where (n.depth, n.ref) > ($3::integer, $4::text)
order by n.depth, n.ref limit $5;

-- name: revisions_seen
-- The refs of all versions of an id that a line of branches sees. $1 id, $2..$3: the branches and how far each is seen.
select b.ref
from unnest($2::text[], $3::bigint[]) as c (branch, seen_until)
join refinery.vibe_branches b on b.branch = c.branch and b.id = $1 and b.position <= c.seen_until;
