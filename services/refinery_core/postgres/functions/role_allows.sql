-- Whether one rule of a revision of a Role allows a verb. NULL for an id or a branch that plays no part; each may be a
-- pattern. A NULL type asks for all of them.
create or replace function refinery.role_allows(role text, verb text, id text, branch text, type text) returns boolean
language sql stable
as $$
select refinery.is_genesis(role) or exists (
    select from refinery.role_rules r
    where r.ref = role and role_allows.verb = any (r.verbs)
      and (role_allows.id is null or refinery.covers(r.ids, role_allows.id))
      and (role_allows.branch is null or refinery.covers(r.branches, role_allows.branch))
      and (r.types is null or role_allows.type = any (r.types)))
$$;
