-- name: edges_to_id
-- Schema edges to any version of an id, in ledger order. $2 as of, $3..$4: last key, $5 size.
select e.from_ref as ref, e.from_id as id, e.from_revision as revision, e.position from refinery.vibe_refs e
where e.to_id = $1 and e.type = 'schema' and e.position <= $2 and (e.position, e.from_ref) > ($3, $4)
order by e.position, e.from_ref limit $5;

-- name: edges_to_latest
-- Schema edges to the latest version of an id, and floating ones to any. Arguments as in edges_to_id, $6 its ref.
select e.from_ref as ref, e.from_id as id, e.from_revision as revision, e.position from refinery.vibe_refs e
where e.to_id = $1 and e.type = 'schema' and e.position <= $2 and (e.position, e.from_ref) > ($3, $4)
  and (e.floating or e.to_ref = $6)
order by e.position, e.from_ref limit $5;

-- name: edges_to_ref
-- Schema edges to one version. Arguments as in edges_to_id.
select e.from_ref as ref, e.from_id as id, e.from_revision as revision, e.position from refinery.vibe_refs e
where e.to_ref = $1 and e.type = 'schema' and e.position <= $2 and (e.position, e.from_ref) > ($3, $4)
order by e.position, e.from_ref limit $5;

-- name: standing
-- Which versions are the latest that a line of branches sees, and which are used by schemas themselves.
-- $1..$3: refs, ids, revisions; $4..$5: the branches and how far each is seen.
select s.ref, s.latest,
       case when s.latest
           then exists (select from refinery.vibe_refs u where u.to_id = s.id and u.type = 'schema')
           else exists (select from refinery.vibe_refs u where u.to_ref = s.ref and u.type = 'schema')
       end as used
from (
    select v.ref, v.id, v.place,
           exists (
               select from unnest($4::text[], $5::bigint[]) as c (branch, seen_until)
               join refinery.vibe_branches b
                 on b.branch = c.branch and b.id = v.id and b.revision = v.revision and b.position <= c.seen_until
               where b.ref = v.ref)
           and not exists (
               select from unnest($4::text[], $5::bigint[]) as c (branch, seen_until)
               join refinery.vibe_branches b
                 on b.branch = c.branch and b.id = v.id and b.revision > v.revision and b.position <= c.seen_until
           ) as latest
    from unnest($1::text[], $2::text[], $3::integer[]) with ordinality as v (ref, id, revision, place)
) s
order by s.place;

-- name: schema_digests
-- What tells apart the schemas of some Vibes, and whether there is a solution.
select v.ref, sha256(convert_to(v.schema::text, 'UTF8')) as digest, v.solution is not null as has_solution
from refinery.vibes v where v.ref = any ($1::text[]);

-- name: solutions
-- The solutions of some Vibes.
select v.ref, v.solution::text as solution from refinery.vibes v where v.ref = any ($1::text[]);
