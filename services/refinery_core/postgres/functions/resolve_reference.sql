-- The ref that a reference means on a branch at a position; a revision of NULL floats. NULL: there is none.
create or replace function refinery.resolve_reference(branch text, id text, revision integer, as_of bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    if resolve_reference.revision is null then
        return (select l.ref from refinery.latest(branch, id, as_of) l);
    end if;
    return refinery.numbered(branch, id, revision, as_of);
end
$$;
