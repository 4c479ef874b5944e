-- Fills who holds each revision of a Role on main, and what it may do.
create or replace function refinery.fill_roles() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.role_members (ref, member) select new.ref, m.member from refinery.role_members(new.solution) m;
    insert into refinery.role_rules (ref, number, verbs, ids, branches, types)
    select new.ref, r.* from refinery.role_rules(new.solution) r;
    return null;
end
$$;
create or replace trigger fill_roles after insert on refinery.vibes
for each row when (new.type = 'ROLE' and 'main' = any (new.branches)) execute function refinery.fill_roles();

-- Roles from before this trigger was there, or from while the code of an older release was.
insert into refinery.role_members (ref, member)
select v.ref, m.member from refinery.vibes v, refinery.role_members(v.solution) m
where v.type = 'ROLE' and 'main' = any (v.branches)
  and not exists (select from refinery.role_members o where o.ref = v.ref and o.member = m.member);
insert into refinery.role_rules (ref, number, verbs, ids, branches, types)
select v.ref, r.* from refinery.vibes v, refinery.role_rules(v.solution) r
where v.type = 'ROLE' and 'main' = any (v.branches)
  and not exists (select from refinery.role_rules o where o.ref = v.ref and o.number = r.number);
