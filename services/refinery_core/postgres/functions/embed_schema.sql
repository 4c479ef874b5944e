-- A pinned schema with each schema that it refers to embedded, recursively, in the object that refers to it, as a last
-- allOf member; for reading, and for tools that know aug:. Embedding the result again changes nothing.
-- extra is as in refinery.schema_closure.
create or replace function refinery.embed_schema(pinned jsonb, extra jsonb default '{}') returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    -- A schema may use a small part of each of many Vibes; the memory of their whole embeddings is bounded too.
    _most constant bigint := 32 * 1048576;
    _refs text[];
    _schemas jsonb[];
    _embedded jsonb[] := '{}';
    _places jsonb;
    _bytes bigint := 0;
    _result jsonb;
begin
    select array_agg(c.ref order by c.place), array_agg(c.schema order by c.place), jsonb_object_agg(c.ref, c.place)
    into _refs, _schemas, _places
    from refinery.schema_closure(pinned, extra) with ordinality as c (ref, schema, place);

    for _place in 1 .. coalesce(cardinality(_refs), 0) loop
        _result := refinery.embedded(_schemas[_place], 'aug:' || _refs[_place], (
            select jsonb_object_agg(p.ref, _embedded[(_places ->> p.ref)::integer])
            from (select distinct q.ref from refinery.schema_pins(_schemas[_place]) q) p));
        _bytes := _bytes + pg_column_size(_result);
        if _bytes > _most then
            perform refinery.check_resolved_size(_bytes);
        end if;
        _embedded := _embedded || _result;
    end loop;

    _result := refinery.embedded(pinned, null, (
        select jsonb_object_agg(p.ref, _embedded[(_places ->> p.ref)::integer])
        from (select distinct q.ref from refinery.schema_pins(pinned) q) p));
    perform refinery.check_resolved_size(octet_length(_result::text));
    return _result;
end
$$;
