-- The schema of a stored Vibe, bundled: for one ref the same bytes for ever.
create or replace function refinery.bundle_vibe_schema(ref text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return refinery.bundle_schema(refinery.vibe_schema(ref), ref);
end
$$;
