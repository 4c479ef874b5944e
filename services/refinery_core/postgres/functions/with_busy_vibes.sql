-- What is known once a request is accepted: its Vibes that others of the batch name are added.
create or replace function refinery.with_busy_vibes(known refinery.known, drafts jsonb, answer jsonb)
returns refinery.known
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _draft jsonb;
    _ordinal integer := 0;
begin
    if known.busy = '{}' then
        return known;
    end if;
    for _draft in select value from jsonb_array_elements(drafts) loop
        if _draft ->> 'id' = any (known.busy) then
            known := refinery.with_vibe(
                known, _draft ->> 'id', array(select jsonb_array_elements_text(_draft -> 'branches')), _draft -> 'type',
                answer -> 'refs' ->> _ordinal, (answer -> 'revisions' ->> _ordinal)::integer,
                answer -> 'digests' ->> _ordinal);
        end if;
        _ordinal := _ordinal + 1;
    end loop;
    return known;
end
$$;
