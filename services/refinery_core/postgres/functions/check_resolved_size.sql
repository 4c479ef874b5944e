-- Refuses a resolved schema of more than 1 MiB.
create or replace function refinery.check_resolved_size(bytes bigint) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    if bytes > 1048576 then
        perform refinery.refuse('RESOLUTION_TOO_LARGE', '{"field": "schema", "limit": "1048576"}');
    end if;
end
$$;
