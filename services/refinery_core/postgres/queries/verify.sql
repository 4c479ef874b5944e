-- name: verify_refinements
-- Refinements in order, as they stand.
select id, position, request_id, request_digest, principal, time, author_ref, target_refs, instruction_refs, budget_refs, chain
from refinery.refinements where position > $1 order by position limit $2;

-- name: verify_vibes
-- The Vibes of a range of positions, as they stand.
select ref, id, branches, revision, type, author_ref, prototype_ref, refinement_id, position, ordinal,
       context::text, schema::text, solution::text, schema_refs, content_digest, digest
from refinery.vibes where position between $1 and $2 order by position, ordinal;

-- name: verify_edges
-- The edges that stand for the Vibes of a range of positions.
select from_ref, to_ref, type, floating, position, branch, from_id, from_revision, to_id, to_revision
from refinery.vibe_refs where from_ref = any ($1);

-- name: verify_digests
-- What the Vibes that others refer to are, and where.
select ref, type, digest, position, ordinal from refinery.vibes where ref = any ($1);

-- name: verify_stray_vibes
-- Vibes at a position where there is no refinement.
select v.ref as place from refinery.vibes v
where not exists (select from refinery.refinements r where r.position = v.position) order by 1 limit 100;

-- name: verify_stray_edges
-- Edges from what does not exist.
select e.from_ref || ' → ' || e.to_ref as place from refinery.vibe_refs e
where not exists (select from refinery.vibes v where v.ref = e.from_ref) order by 1 limit 100;

-- name: verify_branch_index
-- Where the index of branches and the Vibes differ.
(
    select b.branch || '@' || b.id || '?' || b.revision as place from refinery.vibe_branches b
    left join refinery.vibes v on v.ref = b.ref
    where v.ref is null or not b.branch = any (v.branches) or v.id <> b.id
       or v.revision <> b.revision or v.position <> b.position or v.ordinal <> b.ordinal
    union
    select c.branch || '@' || v.id || '?' || v.revision from refinery.vibes v, unnest(v.branches) as c (branch)
    where not exists (
        select from refinery.vibe_branches b where b.branch = c.branch and b.id = v.id and b.revision = v.revision)
)
order by 1 limit 100;

-- name: verify_numbers
-- Versions whose number does not follow the one before on their branch, or the inherited one.
select b.branch || '@' || b.id || '?' || b.revision as place
from (
    select v.*, lag(v.revision) over line as before, lag(v.position) over line as place_before
    from refinery.vibe_branches v window line as (partition by v.branch, v.id order by v.revision)
) b
join refinery.branches k on k.name = b.branch
left join lateral refinery.latest(coalesce(k.parent, 'main'), b.id, coalesce(k.fork_position, 0)) inherited on b.before is null
where b.place_before > b.position
   or b.revision < coalesce(b.before, inherited.revision, 0) + 1
   or (b.revision > coalesce(b.before, inherited.revision, 0) + 1
       and cardinality((select w.branches from refinery.vibes w where w.ref = b.ref)) = 1)
order by 1 limit 100;

-- name: verify_types
-- Ids that do not have the type of their first version.
select v.id as place from refinery.vibes v group by v.id having count(distinct v.type) > 1 order by 1 limit 100;

-- name: verify_branches
-- Branches that differ from the Vibes that record them.
select coalesce(b.name, substr(v.id, length('system/branches/') + 1)) as place
from refinery.branches b
full join (select * from refinery.vibes where starts_with(id, 'system/branches/')) v on v.ref = b.ref
where b.name is distinct from 'main'
  and (b.name is null or v.ref is null or v.id <> 'system/branches/' || b.name
       or v.solution ->> 'parent' <> b.parent or (v.solution ->> 'fork_position')::bigint <> b.fork_position)
union all
select 'main' where not exists (select from refinery.branches where name = 'main')
order by 1 limit 100;
