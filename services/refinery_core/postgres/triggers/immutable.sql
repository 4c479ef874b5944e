-- Nothing is ever changed or taken away: refused by grant for the services, and by these triggers for everybody else.
create or replace function refinery.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise sqlstate 'RF002' using message = format('%s of refinery.%s is refused: the ledger is immutable', tg_op, tg_table_name);
end
$$;

do $$
declare
    _table text;
begin
    foreach _table in array array[
        'ledger', 'refinements', 'vibes', 'vibe_refs', 'branches', 'vibe_branches', 'role_members', 'role_rules', 'denials'] loop
        execute format(
            'create or replace trigger refuse_change before update or delete or truncate on refinery.%I '
            'for each statement execute function refinery.refuse_change()', _table);
        execute format('alter table refinery.%I enable always trigger refuse_change', _table);
    end loop;
end
$$;
