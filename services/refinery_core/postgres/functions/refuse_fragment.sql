-- Refuses a reference to a part of a schema that is not there; pinned schemas only have those where an id was resolved anew.
create or replace function refinery.refuse_fragment(ref text, written text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    perform refinery.refuse('UNKNOWN_REFERENCE', jsonb_build_object(
        'field', 'schema', 'reference', 'aug:' || ref || '#' || split_part(written, '#', 2)));
end
$$;
