-- One object of an embedding: a copy of what it refers to becomes its last allOf member, unless it is there already;
-- in a guest, a reference to its own document is spelled out, so that it stays true wherever the guest is.
create or replace function refinery.embedded_object(node jsonb, self text, address text, names jsonb, copy jsonb)
returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _all_of jsonb := coalesce(node -> 'allOf', '[]');
    _at record;
    _place text;
begin
    if copy is not null then
        return case when _all_of -> -1 = copy then node
                    else node || jsonb_build_object('allOf', _all_of || jsonb_build_array(copy)) end;
    end if;
    if self is null or jsonb_typeof(node -> '$ref') is distinct from 'string' then
        return node;
    end if;
    if starts_with(node ->> '$ref', '#/') and names ->> address = '' then
        _place := refinery.uri_pointer(substr(node ->> '$ref', 2), true);
    else
        _at := refinery.resolve_address(address, node ->> '$ref');
        _place := case when _at.fragment = '' or starts_with(_at.fragment, '/')
                  then refinery.uri_pointer(names ->> _at.absolute) || refinery.uri_pointer(_at.fragment, true)
                  else refinery.uri_pointer(names ->> (_at.absolute || '#' || _at.fragment)) end;
    end if;
    if _place is null then
        return node; -- A standard meta-schema, which has one name everywhere.
    end if;
    return node || jsonb_build_object(
        '$ref', self || coalesce('#' || nullif(_place, ''), ''), '$refResolved', substr(self, length('aug:') + 1));
end
$$;
