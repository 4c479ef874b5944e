-- The refusal of a draft whose branch, condition or type does not hold; NULL if all hold.
create or replace function refinery.refused_draft(
    draft jsonb, branches text[], highest integer, ordinal integer, heads jsonb, types jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _branch text;
begin
    foreach _branch in array branches loop
        if not heads ? (_branch || ' ' || (draft ->> 'id')) then
            return refinery.refusal('BRANCH_NOT_FOUND', jsonb_build_object('branch', _branch));
        end if;
    end loop;
    if (draft ->> 'expected_revision')::integer <> highest then
        return refinery.refusal('REVISION_CONFLICT', jsonb_build_object(
            'field', format('drafts[%s].expected_revision', ordinal), 'id', draft ->> 'id',
            'current', highest, 'expected', draft ->> 'expected_revision'));
    end if;
    if types ->> (draft ->> 'id') <> draft ->> 'type' then
        return refinery.refusal('TYPE_FIXED', jsonb_build_object(
            'field', format('drafts[%s].type', ordinal), 'id', draft ->> 'id',
            'type', types ->> (draft ->> 'id'), 'asked', draft ->> 'type'));
    end if;
    return null;
end
$$;
