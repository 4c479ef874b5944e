-- The number that a draft gets: one more than the highest that any of its branches sees. Refuses a draft whose
-- condition does not hold or whose type is not that of its id.
create or replace function refinery.next_revision(draft jsonb, branches text[], ordinal integer) returns integer
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _branch text;
    _highest integer := 0;
    _type text;
begin
    foreach _branch in array branches loop
        _highest := greatest(_highest, (select l.revision from refinery.latest(_branch, draft ->> 'id', 9223372036854775807) l));
    end loop;

    if (draft ->> 'expected_revision')::integer <> _highest then
        perform refinery.refuse('REVISION_CONFLICT', jsonb_build_object(
            'field', format('drafts[%s].expected_revision', ordinal), 'id', draft ->> 'id',
            'current', _highest, 'expected', draft ->> 'expected_revision'));
    end if;

    select v.type into _type from refinery.vibes v where v.id = draft ->> 'id' order by v.position, v.ordinal limit 1;
    if _type <> draft ->> 'type' then
        perform refinery.refuse('TYPE_FIXED', jsonb_build_object(
            'field', format('drafts[%s].type', ordinal), 'id', draft ->> 'id', 'type', _type, 'asked', draft ->> 'type'));
    end if;
    return _highest + 1;
end
$$;
