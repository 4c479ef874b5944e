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
