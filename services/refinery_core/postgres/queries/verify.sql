-- Ranges are of positions: after $1, up to and with $2. What stands in one is read some megabytes at a time.

-- name: verify_chain_at
-- The chain at a position.
select r.chain from refinery.refinements r where r.position = $1;

-- name: verify_seams
-- Every $2nd position after $1: where the ledger is cut into ranges.
select r.position
from (
    select r.position, row_number() over (order by r.position) as number
    from refinery.refinements r where r.position > $1
) r
where r.number % $2::bigint = 0 order by r.position;

-- name: verify_before
-- The last refinement up to a position.
select r.position, r.chain, case when isfinite(r.time) then (extract(epoch from r.time) * 1000000)::bigint end as time_us
from refinery.refinements r where r.position <= $1 order by r.position desc limit 1;

-- name: verify_refinements
-- Refinements of a range in order, as they stand, without their inputs; times in microseconds. $3 at most.
select r.id, r.position, r.request_id, r.request_digest, r.principal, r.author_ref, r.chain, r.held_as, r.behalf_ref,
       case when isfinite(r.time) then (extract(epoch from r.time) * 1000000)::bigint end as time_us
from refinery.refinements r where r.position > $1 and r.position <= $2 order by r.position limit $3;

-- name: verify_sizes
-- About how many bytes the next Vibes of a range take, with their inputs. $3..$4: the last one seen, $5 at most.
-- A document that is not compressed is about as long as its text; of others the text alone can tell.
select v.position, v.ordinal,
       case when pg_column_compression(v.context) is null then pg_column_size(v.context) else octet_length(v.context::text) end as context,
       case when pg_column_compression(v.schema) is null then pg_column_size(v.schema) else octet_length(v.schema::text) end as schema,
       case when pg_column_compression(v.solution) is null then pg_column_size(v.solution) else octet_length(v.solution::text) end as solution,
       (select cardinality(r.target_refs) + cardinality(r.instruction_refs) + cardinality(r.budget_refs)
        from refinery.refinements r where r.position = v.position) as inputs
from refinery.vibes v
where v.position > $1 and v.position <= $2 and (v.position, v.ordinal) > ($3, $4)
order by v.position, v.ordinal limit $5;

-- name: verify_vibes
-- The Vibes from one place to another, as they stand. $1..$2: position and ordinal of the first, $3..$4: of the last.
select v.ref, v.id, v.branches, v.revision, v.type, v.author_ref, v.prototype_ref, v.refinement_id, v.position, v.ordinal,
       v.context::text, v.schema::text, v.solution::text, v.schema_refs, v.content_digest, v.digest
from refinery.vibes v
where (v.position, v.ordinal) >= ($1, $2) and (v.position, v.ordinal) <= ($3, $4) order by v.position, v.ordinal;

-- name: verify_inputs
-- The inputs of the refinements from one position to another.
select r.position, r.target_refs as target, r.instruction_refs as instruction, r.budget_refs as budget
from refinery.refinements r where r.position between $1 and $2;

-- name: verify_edges
-- The edges that stand for some Vibes.
select e.from_ref, e.to_ref, e.type, e.floating, e.position, e.branch, e.from_id, e.from_revision, e.to_id, e.to_revision
from refinery.vibe_refs e where e.from_ref = any ($1);

-- name: verify_digests
-- What the Vibes that others refer to are, and where.
select v.ref, v.type, v.digest, v.position, v.ordinal from refinery.vibes v where v.ref = any ($1);

-- name: verify_roles
-- The Roles on main with their past, as they stand.
select v.ref, v.id, v.position, v.solution::text from refinery.vibes v
where v.type = 'ROLE' and v.branches @> array['main'] order by v.position, v.ordinal;

-- name: verify_executions
-- The Vibes in whose author's name others were made.
select v.ref, v.id, v.position, v.author_ref from refinery.vibes v where v.ref = any ($1);

-- name: verify_role_index
-- Roles on main, after a position, whose members or rules differ from the Vibe's, and what belongs to no such Role.
select coalesce(v.ref, s.ref) as place
from (select * from refinery.vibes v where v.type = 'ROLE' and v.branches @> array['main']) v
full join (select ref from refinery.role_members union select ref from refinery.role_rules) s on s.ref = v.ref
where (v.position is null or v.position > $1::bigint) and (
    v.ref is null
    or array(select m.member from refinery.role_members m where m.ref = v.ref order by 1)
       <> array(select m.member from refinery.role_members(v.solution) m order by 1)
    or array(select (r.number, r.verbs, r.ids, r.branches, r.types)::text from refinery.role_rules r where r.ref = v.ref order by r.number)
       <> array(select (r.number, r.verbs, r.ids, r.branches, r.types)::text from refinery.role_rules(v.solution) r order by r.number))
order by 1 limit 100;

-- name: verify_index
-- Vibes of a range that the index of branches lacks, or has wrongly.
select c.branch || '@' || v.id || '?' || v.revision as place
from refinery.vibes v
cross join unnest(v.branches) as c (branch)
left join lateral (
    select b.ref, b.position, b.ordinal from refinery.vibe_branches b
    where b.branch = c.branch and b.id = v.id and b.revision = v.revision limit 1
) b on true
where v.position > $1 and v.position <= $2
  and (b.ref, b.position, b.ordinal) is distinct from (v.ref, v.position, v.ordinal)
order by v.position, v.ordinal, c.branch limit 100;

-- name: verify_numbers
-- Versions of a range whose number does not follow the one before on their branch, or the inherited one.
select k.name || '@' || v.id || '?' || v.revision as place
from refinery.vibes v
cross join unnest(v.branches) as c (branch)
join refinery.branches k on k.name = c.branch
left join lateral (
    -- The one index that has this order, whatever the planner believes of how many versions an id has.
    select p.revision, p.position
    from (
        select b.* from refinery.vibe_branches b
        where (b.branch, b.id, b.revision) < (c.branch, v.id, v.revision)
        order by b.branch desc, b.id desc, b.revision desc limit 1
    ) p
    where p.branch = c.branch and p.id = v.id
) before on true
cross join lateral (
    with recursive line (name, seen_until) as (
        select k.parent, k.fork_position where before.revision is null and k.parent is not null
        union
        select p.parent, least(p.fork_position, l.seen_until)
        from line l join refinery.branches p on p.name = l.name and p.parent is not null
    )
    select max(b.revision) as revision
    from line l
    cross join lateral (
        select b.revision from refinery.vibe_branches b
        where b.branch = l.name and b.id = v.id and b.position <= l.seen_until order by b.position desc, b.revision desc limit 1
    ) b
) inherited
cross join lateral (select coalesce(before.revision, inherited.revision, 0) + 1 as revision) next
where v.position > $1 and v.position <= $2
  and (before.position > v.position or v.revision < next.revision
       or (v.revision > next.revision and cardinality(v.branches) = 1))
order by v.position, v.ordinal, k.name limit 100;

-- name: verify_types
-- Versions of a range that do not have the type of the version before.
select v.ref as place
from refinery.vibes v
cross join lateral (
    select w.type from refinery.vibes w
    where w.id = v.id and (w.position, w.ordinal) < (v.position, v.ordinal) order by w.position desc, w.ordinal desc limit 1
) before
where v.position > $1 and v.position <= $2 and v.type <> before.type
order by v.position, v.ordinal limit 100;

-- name: verify_stray_edges
-- Edges after a position from what does not exist.
select e.from_ref || ' → ' || e.to_ref as place from refinery.vibe_refs e
where e.position > $1 and not exists (select from refinery.vibes v where v.ref = e.from_ref) order by 1 limit 100;

-- name: verify_stray_index
-- What the index of branches has after a position and no Vibe says.
select b.branch || '@' || b.id || '?' || b.revision as place from refinery.vibe_branches b
where b.position > $1 and not exists (
    select from refinery.vibes v
    where v.ref = b.ref and v.id = b.id and v.revision = b.revision and b.branch = any (v.branches))
order by 1 limit 100;

-- name: verify_branches
-- Branches that differ from the Vibes that record them, where these stand after a position.
select coalesce(b.name, substr(v.id, length('system/branches/') + 1)) as place
from refinery.branches b
full join (select * from refinery.vibes where starts_with(id, 'system/branches/')) v on v.ref = b.ref
where b.name is distinct from 'main' and (v.position is null or v.position > $1)
  and (b.name is null or v.ref is null or v.id <> 'system/branches/' || b.name
       or v.solution ->> 'parent' is distinct from b.parent
       or v.solution ->> 'fork_position' is distinct from b.fork_position::text)
union all
select 'main' where not exists (select from refinery.branches where name = 'main')
order by 1 limit 100;
