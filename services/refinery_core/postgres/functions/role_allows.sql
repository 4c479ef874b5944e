-- Whether one rule of a revision of a Role allows a verb. NULL for an id or a branch that plays no part; each may be a
-- pattern. A NULL type asks for all of them.
-- It runs under the lock of a refine, so a rule is compared by arrays alone; in PL/pgSQL its plan is kept.
create or replace function refinery.role_allows(role text, verb text, id text, branch text, type text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _ids constant text[] := refinery.covering(id);
    _branches constant text[] := refinery.covering(branch);
begin
    return refinery.is_genesis(role) or exists (
        select from refinery.role_rules r
        where r.ref = role and role_allows.verb = any (r.verbs)
          and (_ids is null or r.ids && _ids)
          and (_branches is null or r.branches && _branches)
          and (r.types is null or role_allows.type = any (r.types)));
end
$$;
