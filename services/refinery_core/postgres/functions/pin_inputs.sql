-- Pins the inputs of a refine: a string is an exact ref, an object {reference, branch, id, revision} is resolved now.
create or replace function refinery.pin_inputs(field text, inputs jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _refs text[];
    _missing integer;
begin
    if inputs = '[]' then
        return '{}';
    end if;
    _refs := array(
        select case jsonb_typeof(i.input)
            when 'string' then refinery.canonical_ref(i.input #>> '{}')
            else refinery.resolve_reference(
                i.input ->> 'branch', i.input ->> 'id', (i.input ->> 'revision')::integer, 9223372036854775807)
        end
        from jsonb_array_elements(inputs) with ordinality as i (input, place)
        order by i.place);
    _missing := array_position(_refs, null);
    if _missing is not null then
        perform refinery.refuse('UNKNOWN_REFERENCE', jsonb_build_object(
            'field', case field when 'author_ref' then field else format('%s[%s]', field, _missing - 1) end,
            'reference', coalesce(inputs -> (_missing - 1) ->> 'reference', inputs ->> (_missing - 1))));
    end if;
    return _refs;
end
$$;
