-- The roles are of the whole cluster: other databases in it may be migrated at the same moment.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['refinery_owner nologin', 'refinery_app login', 'refinery_reader login'] loop
        if to_regrole(split_part(wanted, ' ', 1)) is null then
            begin
                execute 'create role ' || wanted;
            exception when duplicate_object or unique_violation then
                null;  -- Somebody who migrates another database of this cluster was first.
            end;
        end if;
    end loop;
end
$$;
