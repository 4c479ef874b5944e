-- The walk of an embedding: rebuilds a schema from the leaves up, and lets embedded_object rewrite each object that refers to
-- something.
--   self     the name of the document: 'aug:<ref>'; NULL for the root, whose own references stay as they are
--   address  the author's base address here, and dialect the one here
--   names    of refinery.schema_names; NULL for the root
--   guests   ref to embedded schema
create or replace function refinery.embedded_part(
    node jsonb, self text, dialect text, address text, names jsonb, guests jsonb)
returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _dialect text := embedded_part.dialect;
    _address text := embedded_part.address;
    _id text;
    _copy jsonb;
    _node jsonb := node;
    _key text;
    _value jsonb;
    _kind text;
begin
    if names is null and not node @? '$.** ? (exists(@."$refResolved"))'
       or not node @? '$.** ? (exists(@."$ref") || exists(@."$refOriginal") || exists(@."$id")
                               || exists(@."$dynamicRef"))' then
        return node;
    end if;
    if names is not null and node ? '$id' then
        _dialect := refinery.schema_dialect(node, _dialect);
        _id := refinery.schema_address(node, _dialect);
        if _id is null then
            _dialect := embedded_part.dialect;
        else
            _address := (refinery.resolve_address(_address, _id)).absolute;
        end if;
    end if;
    if node ? '$refResolved' then
        _copy := refinery.embedded_copy(node, guests);
    end if;

    -- Keyword by keyword: there are few in one object. A map or an array, which may be wide, is rebuilt at once.
    for _key, _value in select e.key, e.value from jsonb_each(node) e where jsonb_typeof(e.value) in ('object', 'array') loop
        _kind := refinery.schema_keyword(_key);
        continue when _kind is null;
        if jsonb_typeof(_value) = 'array' then
            continue when _kind not in ('many', 'items');
            select jsonb_agg(case
                -- A schema that was embedded before stays as it is.
                when _key = 'allOf' and m.n = jsonb_array_length(_value) and m.value = _copy then m.value
                when jsonb_typeof(m.value) = 'object' then
                    refinery.embedded_part(m.value, self, _dialect, _address, names, guests)
                else m.value end order by m.n)
            into _value from jsonb_array_elements(_value) with ordinality as m (value, n);
        elsif _kind = 'named' then
            select jsonb_object_agg(m.key, case jsonb_typeof(m.value)
                when 'object' then refinery.embedded_part(m.value, self, _dialect, _address, names, guests)
                else m.value end)
            into _value from jsonb_each(_value) m;
        elsif _kind in ('one', 'items') then
            _value := refinery.embedded_part(_value, self, _dialect, _address, names, guests);
        end if;
        -- An aggregate of nothing is NULL; then the value stays as it was.
        _node := case when _value is null then _node else _node || jsonb_build_object(_key, _value) end;
    end loop;

    if _copy is null and (self is null or not node ? '$ref') then
        return _node;
    end if;
    return refinery.embedded_object(_node, self, _address, names, _copy);
end
$$;
