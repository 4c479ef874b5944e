-- name: roles_held
-- The Roles in force that some names hold, with their rules; a Role without rules has one row. $1 names, $2 as of.
select h.ref, h.held_as, r.number, r.verbs, r.ids, r.branches, r.types
from refinery.roles_of($1::text::jsonb, $2) h left join refinery.role_rules r on r.ref = h.ref
order by h.ref, r.number;

-- name: in_force
-- The revision in force of a Role. $1 id, $2 as of.
select l.ref from refinery.latest('main', $1, $2) l where l.ref is not null;
