-- The pinned schema of a stored Vibe; refuses where there is no such Vibe, or where it has none.
create or replace function refinery.vibe_schema(ref text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _schema jsonb;
begin
    select v.schema into _schema from refinery.vibes v where v.ref = vibe_schema.ref;
    if not found then
        perform refinery.refuse('VIBE_NOT_FOUND', jsonb_build_object('reference', ref));
    elsif _schema is null then
        perform refinery.refuse('SCHEMA_MISSING', jsonb_build_object('ref', ref));
    end if;
    return _schema;
end
$$;
