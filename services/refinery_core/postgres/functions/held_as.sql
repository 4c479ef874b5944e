-- The first of some names, a principal and its groups, by which a revision of a Role is held; NULL where there is none.
-- It runs under the lock of a refine; in PL/pgSQL its plan is kept.
create or replace function refinery.held_as(role text, names jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return (
        select n.name
        from jsonb_array_elements_text(names) with ordinality as n (name, place)
        where exists (select from refinery.role_members m where m.ref = role and m.member = n.name)
           or exists (
               select from refinery.role_members m
               where m.ref = role and m.prefix is not null
                 and starts_with(n.name, m.prefix) and length(n.name) > length(m.prefix))
        order by n.place limit 1);
end
$$;
