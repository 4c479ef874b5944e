-- Why a revision of a Role gives more than its author's Role has itself; NULL where it does not. `previous` is the revision in
-- force, `role` the members and rules of the new one. Whatever the previous one gave is given already.
create or replace function refinery.escalation(author text, previous text, role jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _rule record;
    _verb text;
    _id text;
    _branch text;
    _new_member text;
begin
    if refinery.is_genesis(author) then
        return null;
    end if;
    select m.member into _new_member
    from refinery.role_members(role) m
    where not exists (
        select from refinery.role_members p
        where p.ref = previous
          and (p.member = m.member or (p.prefix is not null and starts_with(m.member, p.prefix))))
    limit 1;

    for _rule in select * from refinery.role_rules(role) loop
        foreach _verb in array _rule.verbs loop
            foreach _id in array _rule.ids loop
                foreach _branch in array _rule.branches loop
                    if not refinery.allows_all(author, _verb, _id, _branch, _rule.types) then
                        if not refinery.allows_all(previous, _verb, _id, _branch, _rule.types) then
                            return format('may[%s] gives more than the author''s Role may do itself', _rule.number);
                        elsif _new_member is not null then
                            return format('may[%s] is more than the author''s Role may do itself, so it cannot be given to %s',
                                          _rule.number, _new_member);
                        end if;
                    end if;
                end loop;
            end loop;
        end loop;
    end loop;
    return null;
end
$$;
