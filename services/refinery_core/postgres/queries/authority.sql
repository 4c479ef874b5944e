-- name: roles_held
-- The Roles in force that some names hold, with their rules; a Role without rules has one row. $1 names, $2 as of.
select h.ref, h.held_as, r.number, r.verbs, r.ids, r.branches, r.types
from refinery.roles_of($1::text::jsonb, $2) h left join refinery.role_rules r on r.ref = h.ref
order by h.ref, r.number;

-- name: rules_in_force
-- The rules of the revision in force of a Role. $1 id.
select r.number, r.verbs, r.ids, r.branches, r.types
from refinery.latest('main', $1, 9223372036854775807) l join refinery.role_rules r on r.ref = l.ref
order by r.number;

-- name: whose
-- What decides whether some Vibes may be read, and what stands for those that may not. $1 refs.
select v.ref, v.id, v.branches, v.type, v.digest
from unnest($1::text[]) r (ref), lateral (select * from refinery.vibes v where v.ref = r.ref limit 1) v;

-- name: note_denials
-- Writes down denials. $1 service, $2 instance, $3..$11: minutes and what else is known of each, and counts.
insert into refinery.denials (service, instance, minute, principal, method, verb, id, branch, role, problem, count)
select $1, $2, d.* from unnest(
    $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[]) d;

-- name: list_denials
-- Candidates, newest first. $1 last number, $2 size, $3..$4: minutes from, before.
select c.number as at, d.*
from (select c.number from refinery.denials c where c.number < $1 order by c.number desc limit $2) c
left join lateral (
    select * from refinery.denials d where d.number = c.number limit 1) d on d.minute >= $3 and d.minute < $4
order by c.number desc;

-- name: list_denials_of
-- As list_denials, of one principal, $5.
select c.number as at, d.*
from (
    select c.number from refinery.denials c
    where c.principal = $5 and c.number < $1 order by c.principal desc, c.number desc limit $2) c
left join lateral (
    select * from refinery.denials d where d.number = c.number limit 1) d on d.minute >= $3 and d.minute < $4
order by c.number desc;

-- name: role_in_force
-- A Role, as it is in force; nulls where there is none. $1 id.
select v.ref, v.revision, v.solution::text
from refinery.latest('main', $1, 9223372036854775807) l left join refinery.vibes v on v.ref = l.ref;

-- name: seal
-- The key of page tokens for callers who may not read everything.
select seal from refinery.ledger;
