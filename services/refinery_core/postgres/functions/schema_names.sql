-- The names that a schema document gives: the address of each of its resources, and "address#anchor",
-- each with the JSON pointer of the schema that it names.
create or replace function refinery.schema_names(schema jsonb, address text, pointer text, dialect text)
returns table (name text, place text)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _dialect text := refinery.schema_dialect(schema, dialect);
    _id text := refinery.schema_address(schema, _dialect);
    _address text := schema_names.address;
begin
    if _id is not null then
        _address := (refinery.resolve_address(_address, _id)).absolute;
    else
        _dialect := case when pointer = '' then _dialect else schema_names.dialect end;
    end if;
    if _id is not null or pointer = '' then
        return query select _address, pointer;
    end if;
    return query
        select _address || '#' || a.name, schema_names.pointer
        from (values
            ('$id', case when _dialect like '%draft-07%' and _id is null and schema ->> '$id' like '#_%'
                    then substr(schema ->> '$id', 2) end),
            ('$anchor', case when _dialect not like '%draft-07%' then schema ->> '$anchor' end),
            ('$dynamicAnchor', case when _dialect like '%2020-12%' then schema ->> '$dynamicAnchor' end)) as a (key, name)
        where a.name is not null and jsonb_typeof(schema -> a.key) = 'string';
    return query
        select n.name, n.place
        from refinery.subschemas(schema) s,
             lateral refinery.schema_names(s.schema, _address, schema_names.pointer || s.way, _dialect) n
        where jsonb_typeof(s.schema) = 'object';
end
$$;
