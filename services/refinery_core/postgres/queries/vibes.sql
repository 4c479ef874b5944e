-- The lists read candidates: so many rows, in order, from one index; a candidate that the rest of the filter leaves out
-- is a row with its key alone. So a page costs what it reads, whatever the filter leaves out. Generic plans hold that:
-- * each list has one index whose order is that of the list, from where the comparison of rows begins; an equality with
--   its first column beside that would make the scan begin with the first row of the list;
-- * what is not a condition on that index stands outside of the limit, where no other index can be chosen for it;
-- * a lateral subselect with a limit of its own is looked up row by row, and never becomes a join that reads a table.

-- name: vibes_by_name
-- Whole Vibes by canonical name, aliases included.
select n.name, v.*
from unnest($1::text[]) as n (name),
     lateral (
         select v.ref, v.id, v.branches, v.revision, v.type, v.author_ref, v.prototype_ref, v.refinement_id, v.position,
                r.time, v.content_digest, v.digest, v.schema_refs, v.context::text, v.schema::text, v.solution::text
         from refinery.vibes v join refinery.refinements r on r.position = v.position
         where v.ref = refinery.canonical_ref(n.name) limit 1) v;

-- name: vibes_by_ref
-- Vibes by ref, in order.
select v.*
from unnest($1::text[]) with ordinality as n (ref, place),
     lateral (select * from refinery.basic_vibes v where v.ref = n.ref limit 1) v
order by n.place;

-- name: refs_by_name
-- The refs that canonical names mean, aliases included; what does not exist is left out.
select n.name, r.ref from unnest($1::text[]) as n (name), lateral (select refinery.canonical_ref(n.name)) as r (ref)
where r.ref is not null;

-- name: ref_by_digest
-- The ref of the Vibe with a digest.
select ref from refinery.vibes where digest = $1;

-- name: vibes_of_refinement
-- What a refinement made, in the order of the drafts.
select * from refinery.basic_vibes where position = $1 order by ordinal;

-- name: list_vibes
-- Candidates in ledger order. $1..$2: last key, $3 size, $4 until.
select p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.position, c.ordinal from refinery.vibes c
    where (c.position, c.ordinal) > ($1, $2) order by c.position, c.ordinal limit $3) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on v.position <= $4
order by p.position, p.ordinal;

-- name: list_vibes_of_type
-- As list_vibes, of one type, $5.
select p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.position, c.ordinal from refinery.vibes c
    where c.type <= $5 and (c.type, c.position, c.ordinal) > ($5, $1, $2)
    order by c.type, c.position, c.ordinal limit $3) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on v.position <= $4
order by p.position, p.ordinal;

-- name: list_vibes_by_author
-- As list_vibes, of one author, $5, of some types and on all of some branches, $6..$7.
select p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.position, c.ordinal from refinery.vibes c
    where c.author_ref <= $5 and (c.author_ref, c.position, c.ordinal) > ($5, $1, $2)
    order by c.author_ref, c.position, c.ordinal limit $3) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on
    v.position <= $4 and v.type = any ($6) and v.branches @> $7
order by p.position, p.ordinal;

-- name: list_vibes_on_branch
-- As list_vibes, on one branch, $5, of some types, $6.
select p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.position, c.ordinal from refinery.vibe_branches c
    where c.branch <= $5 and (c.branch, c.position, c.ordinal) > ($5, $1, $2)
    order by c.branch, c.position, c.ordinal limit $3) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on
    v.position <= $4 and v.type = any ($6)
order by p.position, p.ordinal;

-- name: list_vibes_under_prefix
-- Candidates by id, then in ledger order. $1..$3: last key, $4 size, $5 ids before, $6..$7: positions, $8 types, $9 branches, $10 author.
select p.id as key, p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.id, c.position, c.ordinal from refinery.vibes c
    where (c.id, c.position, c.ordinal) > ($1, $2, $3) and c.id < $5
    order by c.id, c.position, c.ordinal limit $4) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on
    v.position > $6 and v.position <= $7 and v.type = any ($8) and v.branches @> $9 and (v.author_ref = $10 or $10 = '')
order by p.id, p.position, p.ordinal;

-- name: list_latest_vibes
-- The latest of each id that a branch itself has, by id; the candidates are ids. $1 last id, $2 size, $3..$4: ids from, before, $5..$6: positions, $7 types, $8 branch.
with recursive ids (id) as (
    (select b.id from refinery.vibe_branches b
     where b.branch = $8 and b.id > $1 and b.id >= $3 and b.id < $4 order by b.branch, b.id limit 1)
    union all
    select n.id
    from ids i, lateral (
        select b.id from refinery.vibe_branches b
        where b.branch = $8 and b.id > i.id and b.id < $4 order by b.branch, b.id limit 1) n
)
select p.id as key, 1::bigint as at, 0 as nth, v.*
from (select i.id from ids i limit $2) p
left join lateral (
    select b.ref from refinery.vibe_branches b
    where b.branch = $8 and b.id = p.id and b.position <= $6
    order by b.position desc, b.revision desc limit 1) l on true
left join lateral (select * from refinery.basic_vibes v where v.ref = l.ref limit 1) v on
    v.position > $5 and v.type = any ($7)
order by p.id;

-- name: list_revisions
-- The versions of an id on one line of the chain of branches, newest first. $1 branch, $2 id, $3..$4: below this position and revision, $5 size.
select p.position as at, p.revision as nth, v.*
from (
    select c.ref, c.position, c.revision from refinery.vibe_branches c
    where c.branch = $1 and c.id = $2 and (c.position, c.revision) < ($3, $4)
    order by c.position desc, c.revision desc limit $5) p,
lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v
order by p.position desc, p.revision desc;

-- name: watch_vibes
-- Candidates in ledger order, for those who watch. $1..$2: last key, $3 size, $4 until, $5 branches, $6 how the ids begin.
select p.position as at, p.ordinal as nth, v.*
from (
    select c.ref, c.position, c.ordinal from refinery.vibes c
    where (c.position, c.ordinal) > ($1, $2) order by c.position, c.ordinal limit $3) p
left join lateral (select * from refinery.basic_vibes v where v.ref = p.ref limit 1) v on
    v.position <= $4 and v.branches @> $5 and starts_with(v.id, $6)
order by p.position, p.ordinal;
