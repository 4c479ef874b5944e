-- A pinned schema and all that it is composed from as one JSON Schema compound document, for any standard validator.
-- root is the ref that it is stored under, NULL if it is not; extra is as in refinery.schema_closure.
create or replace function refinery.bundle_schema(pinned jsonb, root text, extra jsonb default '{}') returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    -- No reference reads "aug:unstored", so none can mean it.
    _self text := 'aug:' || coalesce(root, 'unstored');
    _refs text[];
    _schemas jsonb[];
    _wrapped text[];
    _container text := case when refinery.schema_dialect(pinned) like '%draft-07%' then 'definitions' else '$defs' end;
    _guests jsonb;
    _bundle jsonb;
    _pin record;
begin
    select array_agg(c.ref order by c.ref collate "C"), array_agg(c.schema order by c.ref collate "C")
    into _refs, _schemas
    from refinery.schema_closure(pinned, extra) c;

    select coalesce(array_agg(d.self), '{}') into _wrapped
    from (select _self, pinned union all select 'aug:' || r, s from unnest(_refs, _schemas) as c (r, s)) as d (self, schema)
    where refinery.schema_dialect(d.schema) like '%draft-07%' and jsonb_typeof(d.schema -> '$ref') = 'string';

    select p.ref, p.written into _pin
    from unnest(array_append(_schemas, pinned)) s, lateral refinery.schema_pins(s) p
    where strpos(p.written, '#') > 0
      and _schemas[array_position(_refs, p.ref)] #> refinery.pointer_tokens(split_part(p.written, '#', 2)) is null;
    if found then
        perform refinery.refuse_fragment(_pin.ref, _pin.written);
    end if;

    _bundle := refinery.bundled(pinned, _self, _wrapped);
    select jsonb_object_agg('aug:' || r || case when _bundle -> _container ? ('aug:' || r) then '#' else '' end,
                            refinery.bundled(s, 'aug:' || r, _wrapped))
    into _guests
    from unnest(_refs, _schemas) as c (r, s);

    if _guests is not null then
        _bundle := _bundle || jsonb_build_object(_container, coalesce(_bundle -> _container, '{}') || _guests);
    end if;
    perform refinery.check_resolved_size(octet_length(_bundle::text));
    return _bundle;
end
$$;
