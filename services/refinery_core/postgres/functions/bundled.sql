-- One document as a resource of a bundle: self is its $id, whatever its author's was. Draft-07 ignores all that stands
-- beside a $ref, an $id too: a document that is such a reference is wrapped, and what was silent stays so under
-- definitions, where references still find it.
create or replace function refinery.bundled(pinned jsonb, self text, wrapped text[]) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _dialect text := refinery.schema_dialect(pinned);
    _heard constant text[] := '{$schema,$comment,title,description,definitions,$defs}';
    _node jsonb;
    _silent jsonb;
begin
    if jsonb_typeof(pinned) = 'boolean' then
        _node := case when pinned::boolean then '{}' else '{"not": {}}' end;
    else
        _node := refinery.compose_part(
            pinned, self, _dialect, '', refinery.own_names(pinned, self = any (wrapped)), null, wrapped);
    end if;
    if self = any (wrapped) then
        _silent := _node - _heard - '{$ref,$id}'::text[];
        _node := (_node - array(select jsonb_object_keys(_silent)) - '$ref')
                 || jsonb_build_object('allOf', jsonb_build_array(jsonb_build_object('$ref', _node -> '$ref')))
                 || case when _silent = '{}' then '{}' else jsonb_build_object(
                        'definitions',
                        coalesce(_node -> 'definitions', '{}') || jsonb_build_object('aug:siblings', _silent)) end;
    end if;
    return _node || jsonb_build_object('$schema', _dialect, '$id', self);
end
$$;
