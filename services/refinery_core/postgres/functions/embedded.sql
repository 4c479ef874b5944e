-- One document of an embedding, self NULL for the root; guests has the embedded schemas that it refers to, by ref.
create or replace function refinery.embedded(pinned jsonb, self text, guests jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _dialect text := refinery.schema_dialect(pinned);
    _names jsonb;
begin
    if not pinned @? '$.** ? (exists(@."$ref") || exists(@."$refOriginal") || exists(@."$id") || exists(@."$dynamicRef"))' then
        return pinned;
    end if;
    perform refinery.check_resolved_size(octet_length(pinned::text) + refinery.embedded_size(pinned, guests));
    if self is not null then
        _names := coalesce(
            refinery.own_names(pinned),
            jsonb_build_object(
                (refinery.resolve_address('', coalesce(refinery.schema_address(pinned, _dialect), ''))).absolute, ''));
    end if;
    return refinery.embedded_part(pinned, self, _dialect, '', _names, coalesce(guests, '{}'));
end
$$;
