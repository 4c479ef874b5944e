-- The names of a document by refinery.schema_names, if it refers to itself by them or gives several; else NULL.
-- Most documents have an $id at most, and only references like "#/definitions/x".
create or replace function refinery.own_names(schema jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    if (schema - '$id') @? '$.** ? (
            exists(@."$id")
            || @."$ref" like_regex "^(#[^/]|[^#])" && !exists(@."$refResolved")
            || @."$dynamicRef".type() == "string" && !(@."$dynamicRef" starts with "#"))' then
        return (select jsonb_object_agg(n.name, n.place)
                from refinery.schema_names(schema, '', '', refinery.schema_dialect(schema)) n);
    end if;
    return null;
end
$$;
