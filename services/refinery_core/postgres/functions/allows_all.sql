-- Whether a revision of a Role allows a verb for each of some types; NULL types are all of them.
create or replace function refinery.allows_all(role text, verb text, id text, branch text, types text[]) returns boolean
language sql stable
as $$
select not exists (
    select from unnest(coalesce(types, array[null::text])) t where not refinery.role_allows(role, verb, id, branch, t))
$$;
