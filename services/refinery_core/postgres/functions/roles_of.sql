-- The Roles in force at a position that some names hold, each with the name that holds it.
create or replace function refinery.roles_of(names jsonb, as_of bigint) returns table (ref text, held_as text)
language sql stable
as $$
select m.ref, refinery.held_as(m.ref, names)
from (
    select distinct m.ref
    from refinery.role_members m
    where m.member = any (array(
        select n from jsonb_array_elements_text(names) n
        union all
        select left(n, k) || '*' from jsonb_array_elements_text(names) n, generate_series(0, length(n) - 1) k))
) m
cross join lateral (select v.id from refinery.vibes v where v.ref = m.ref limit 1) v
cross join lateral refinery.latest('main', v.id, as_of) l
where l.ref = m.ref
$$;
