-- One object of a bundle: what it refers to becomes an $id of the bundle, and so does its own $id.
create or replace function refinery.bundled_object(
    node jsonb, self text, dialect text, address text, names jsonb, wrapped text[])
returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _node jsonb := node;
    _target text;
    _key text;
    _place text;
    _at record;
begin
    if jsonb_typeof(node -> '$refResolved') = 'string' then
        _target := refinery.bundled_target(
            'aug:' || (node ->> '$refResolved'),
            split_part(coalesce(node ->> '$ref', node ->> '$refOriginal'), '#', 2), wrapped);
        _node := _node - '{$ref,$refOriginal,$refResolved}'::text[];
        if node ? '$refOriginal' and dialect like '%draft-07%' then
            -- In draft-07 a $ref would silence what stands beside it, which a $refOriginal does not.
            return _node || jsonb_build_object(
                'allOf', coalesce(_node -> 'allOf', '[]') || jsonb_build_object('$ref', _target));
        end if;
        _node := _node || jsonb_build_object('$ref', _target);
    end if;
    if names is null then
        return _node;
    end if;

    foreach _key in array array['$ref', '$dynamicRef', '$recursiveRef'] loop
        continue when jsonb_typeof(node -> _key) is distinct from 'string' or (_key = '$ref' and _target is not null);
        _at := refinery.resolve_address(address, node ->> _key);
        _place := names ->> _at.absolute;
        if _place = '' and (self = any (wrapped) or not starts_with(node ->> _key, '#'))
           or not starts_with(node ->> _key, '#') and _place is not null then
            _node := _node || jsonb_build_object(_key, case
                when _place = '' then refinery.bundled_target(self, _at.fragment, wrapped)
                else refinery.bundled_id(self, _place) || coalesce('#' || nullif(_at.fragment, ''), '') end);
        end if;
    end loop;

    if refinery.schema_address(node, dialect) is not null then
        return _node || jsonb_build_object('$id', refinery.bundled_id(self, names ->> address));
    elsif dialect like '%draft-07%' and node ? '$ref' and jsonb_typeof(node -> '$id') = 'string' then
        return _node - '$id';
    end if;
    return _node;
end
$$;
