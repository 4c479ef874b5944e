-- The youngest edges come first: of an id with many versions the latest is met before those that it replaced.
-- Each page is a stretch of one index that has it in order, and that is the only one which its conditions fit.

-- name: edges_to_id
-- Schema edges to any version of an id. $2..$4: position, from and to of the edge before, $5 size.
select e.from_ref as ref, e.from_id as id, e.to_ref, e.to_id, e.floating, e.position
from refinery.vibe_refs e
where e.to_id = $1 and e.type = 'schema' and (e.position, e.from_ref, e.to_ref) < ($2, $3, $4)
order by e.position desc, e.from_ref desc, e.to_ref desc limit $5;

-- name: edges_to_ref
-- Schema edges to one version. $2..$3: position and from of the edge before, $4 size. An index of schema edges alone is
-- not in this order; where the type is the result of a query, the planner cannot tell that it would do.
select e.from_ref as ref, e.from_id as id, e.to_ref, e.to_id, e.floating, e.position
from refinery.vibe_refs e
where e.to_ref = $1 and e.type = (select 'schema') and (e.position, e.from_ref) < ($2, $3)
order by e.position desc, e.from_ref desc limit $4;

-- name: edges_to_some
-- Schema edges to any version of some ids, $1, and to some versions, $2. $3 as of.
select e.from_ref as ref, e.from_id as id, e.to_ref, e.to_id, e.floating, e.position
from (
    select to_.* from unnest($1::text[]) as n (id)
    cross join lateral (
        select e.* from refinery.vibe_refs e where e.to_id = n.id and e.type = 'schema' and e.position <= $3 offset 0
    ) to_
    union all
    select to_.* from unnest($2::text[]) as n (ref)
    cross join lateral (
        select e.* from refinery.vibe_refs e where e.to_ref = n.ref and e.type = 'schema' and e.position <= $3 offset 0
    ) to_
) e
order by e.position desc, e.from_ref desc, e.to_ref desc;

-- name: standing
-- Which versions are the latest that a branch sees, and how many schema edges lead to them, or to any version of their
-- id where they are: counted up to $5. $1..$2: refs, ids; $3 branch, $4 as of.
select s.ref, s.latest,
       case when s.latest
           then (select count(*) from (
               select from refinery.vibe_refs u where u.to_id = s.id and u.type = 'schema' and u.position <= $4 limit $5) u)
           else (select count(*) from (
               select from refinery.vibe_refs u where u.to_ref = s.ref and u.type = 'schema' and u.position <= $4 limit $5) u)
       end as used
from (
    select v.ref, v.id, v.place, v.ref is not distinct from l.ref as latest
    from unnest($1::text[], $2::text[]) with ordinality as v (ref, id, place)
    cross join lateral refinery.latest($3, v.id, $4) l
) s
order by s.place;

-- name: schema_digests
-- What tells apart the schemas of some Vibes, and whether there is a solution.
select v.ref, sha256(convert_to(v.schema::text, 'UTF8')) as digest, v.solution is not null as has_solution
from refinery.vibes v where v.ref = any ($1::text[]);

-- name: solutions
-- The solutions of some Vibes.
select v.ref, v.solution::text as solution from refinery.vibes v where v.ref = any ($1::text[]);
