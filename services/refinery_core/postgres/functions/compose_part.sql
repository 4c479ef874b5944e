-- The one walk that embedding and bundling share: rebuilds a schema from the leaves up, and lets bundled_object or
-- embedded_object rewrite each object that refers to something.
--   self     what the document is called: 'aug:<ref>'; NULL for the root of an embedding, whose own words stay
--   address  the author's base address here, and dialect the one here
--   names    of refinery.schema_names; NULL where the document's own references can stay as they are
--   guests   ref to embedded schema; NULL bundles
--   wrapped  the documents that refinery.bundled wraps
create or replace function refinery.compose_part(
    node jsonb, self text, dialect text, address text, names jsonb, guests jsonb, wrapped text[])
returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _dialect text := compose_part.dialect;
    _address text := compose_part.address;
    _id text;
    _copy jsonb;
    _node jsonb;
begin
    if names is null and not node @? '$.** ? (exists(@."$refResolved"))'
       or not node @? '$.** ? (exists(@."$ref") || exists(@."$refOriginal") || exists(@."$id") || exists(@."$dynamicRef"))' then
        return node;
    end if;
    if names is not null and node ? '$id' then
        _dialect := refinery.schema_dialect(node, _dialect);
        _id := refinery.schema_address(node, _dialect);
        if _id is null then
            _dialect := compose_part.dialect;
        else
            _address := (refinery.resolve_address(_address, _id)).absolute;
        end if;
    end if;
    if guests is not null and node ? '$refResolved' then
        _copy := refinery.embedded_copy(node, guests);
    end if;

    select jsonb_object_agg(e.key, case
        when jsonb_typeof(e.value) not in ('object', 'array') then e.value
        when jsonb_typeof(e.value) = 'object' and refinery.schema_keyword(e.key) in ('one', 'items') then
            refinery.compose_part(e.value, self, _dialect, _address, names, guests, wrapped)
        when jsonb_typeof(e.value) = 'object' and refinery.schema_keyword(e.key) = 'named' then (
            select coalesce(jsonb_object_agg(m.key, case jsonb_typeof(m.value) when 'object' then
                       refinery.compose_part(m.value, self, _dialect, _address, names, guests, wrapped)
                       else m.value end), '{}')
            from jsonb_each(e.value) m)
        when jsonb_typeof(e.value) = 'array' and refinery.schema_keyword(e.key) in ('many', 'items') then (
            select coalesce(jsonb_agg(case
                       when jsonb_typeof(m.value) <> 'object' then m.value
                       -- What was embedded before stays as it is.
                       when e.key = 'allOf' and m.n = jsonb_array_length(e.value) and m.value = _copy then m.value
                       else refinery.compose_part(m.value, self, _dialect, _address, names, guests, wrapped)
                       end order by m.n), '[]')
            from jsonb_array_elements(e.value) with ordinality as m (value, n))
        else e.value end)
    into _node
    from jsonb_each(node) e;

    if guests is null then
        return refinery.bundled_object(_node, self, _dialect, _address, names, wrapped);
    end if;
    return refinery.embedded_object(_node, self, _address, names, _copy);
end
$$;
