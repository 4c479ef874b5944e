-- name: vibes_by_name
-- Whole Vibes by canonical name, aliases included.
select n.name, v.ref, v.id, v.branches, v.revision, v.type, v.author_ref, v.prototype_ref, v.refinement_id, v.position, r.time,
       v.content_digest, v.digest, v.schema_refs, v.context::text, v.schema::text, v.solution::text
from unnest($1::text[]) as n (name)
join refinery.vibes v on v.ref = refinery.canonical_ref(n.name)
join refinery.refinements r on r.position = v.position;

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
-- A page in ledger order. $1..$2: positions, $3..$4: last key, $5 size.
select * from refinery.basic_vibes v
where v.position > $1 and v.position <= $2 and (v.position, v.ordinal) > ($3, $4)
order by v.position, v.ordinal limit $5;

-- name: list_vibes_of_type
-- As list_vibes, of one type. $1..$2: positions, $3 type, $4..$5: last key, $6 size.
select * from refinery.basic_vibes v
where v.type = $3 and v.position > $1 and v.position <= $2 and (v.position, v.ordinal) > ($4, $5)
order by v.position, v.ordinal limit $6;

-- name: list_vibes_by_author
-- As list_vibes, of one author. $1..$2: positions, $3 types, $4..$5: last key, $6 size, $7 author, $8 branches.
select * from refinery.basic_vibes v
where v.author_ref = $7 and v.position > $1 and v.position <= $2 and v.type = any ($3)
  and v.branches @> $8 and (v.position, v.ordinal) > ($4, $5)
order by v.position, v.ordinal limit $6;

-- name: list_vibes_by_author_under_prefix
-- As list_vibes_under_prefix, of one author, $11; found by id, which gives the order, not by author.
select * from refinery.basic_vibes v
where v.id >= $8 and v.id < $9 and v.position > $1 and v.position <= $2 and v.type = any ($3) and v.branches @> $10
  and v.author_ref = $11 and (v.id, v.position, v.ordinal) > ($4, $5, $6)
order by v.id, v.position, v.ordinal limit $7;

-- name: list_vibes_on_branch
-- As list_vibes, of one branch. $1..$2: positions, $3 types, $4..$5: last key, $6 size, $7 branch.
select v.* from refinery.vibe_branches b join refinery.basic_vibes v on v.ref = b.ref
where b.branch = $7 and b.position > $1 and b.position <= $2 and v.type = any ($3)
  and (b.position, b.ordinal) > ($4, $5)
order by b.position, b.ordinal limit $6;

-- name: list_vibes_under_prefix
-- A page by id, then in ledger order. $1..$2: positions, $3 types, $4..$6: last key, $7 size, $8..$9: ids from, before.
select * from refinery.basic_vibes v
where v.id >= $8 and v.id < $9 and v.position > $1 and v.position <= $2 and v.type = any ($3) and v.branches @> $10
  and (v.id, v.position, v.ordinal) > ($4, $5, $6)
order by v.id, v.position, v.ordinal limit $7;

-- name: list_latest_vibes
-- The latest of each id that a branch itself has, by id. $1 branch, $2 until, $3 types, $4..$5: ids from, before, $6 last id, $7 size.
select v.*
from (
    select distinct on (b.id) b.id, b.ref
    from refinery.vibe_branches b
    where b.branch = $1 and b.position <= $2 and b.id >= $4 and b.id < $5 and b.id > $6
    order by b.id, b.position desc, b.revision desc
) latest
join refinery.basic_vibes v on v.ref = latest.ref
where v.type = any ($3) and v.position > $8
order by latest.id limit $7;

-- name: list_revisions
-- The versions of an id on one line of the chain of branches, newest first. $3 until, $4 below this revision, $5 size.
select v.* from refinery.vibe_branches b join refinery.basic_vibes v on v.ref = b.ref
where b.branch = $1 and b.id = $2 and b.position <= $3 and b.revision < $4
order by b.revision desc limit $5;

-- name: vibes_between
-- What was committed in a range of positions, for those who watch. $3: branches, $4..$5: ids from, before.
select * from refinery.basic_vibes v
where v.position > $1 and v.position <= $2 and v.branches @> $3 and v.id >= $4 and v.id < $5
order by v.position, v.ordinal;
