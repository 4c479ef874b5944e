-- Refuses a reference to a missing part of a schema; only schemas that were pinned anew have one.
create or replace function refinery.refuse_fragment(ref text, written text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    perform refinery.refuse('UNKNOWN_REFERENCE', jsonb_build_object(
        'field', 'schema', 'reference', 'aug:' || ref || '#' || split_part(written, '#', 2)));
end
$$;
