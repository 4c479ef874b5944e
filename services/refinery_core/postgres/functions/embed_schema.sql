-- A pinned schema with each schema that it refers to embedded, recursively, in the object that refers to it, as a last
-- allOf member; for reading, and for tools that know aug:. Doing it again changes nothing.
-- extra is as in refinery.schema_closure.
create or replace function refinery.embed_schema(pinned jsonb, extra jsonb default '{}') returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    -- Of many Vibes a small part each may be wanted; the memory that their whole embeddings take is bounded too.
    _most constant bigint := 32 * 1048576;
    _refs text[] := '{}';
    _embedded jsonb[] := '{}';
    _bytes bigint := 0;
    _guest record;
    _result jsonb;
begin
    for _guest in select c.ref, c.schema from refinery.schema_closure(pinned, extra) c loop
        _result := refinery.embedded(_guest.schema, 'aug:' || _guest.ref, (
            select jsonb_object_agg(r, e) from unnest(_refs, _embedded) as done (r, e)
            where r in (select p.ref from refinery.schema_pins(_guest.schema) p)));
        _bytes := _bytes + pg_column_size(_result);
        if _bytes > _most then
            perform refinery.check_resolved_size(_bytes);
        end if;
        _refs := _refs || _guest.ref;
        _embedded := _embedded || _result;
    end loop;

    _result := refinery.embedded(pinned, null, (
        select jsonb_object_agg(r, e) from unnest(_refs, _embedded) as done (r, e)
        where r in (select p.ref from refinery.schema_pins(pinned) p)));
    perform refinery.check_resolved_size(octet_length(_result::text));
    return _result;
end
$$;
