-- The schema to embed for a reference: that of the Vibe that it is pinned to, or the part that its fragment names.
create or replace function refinery.embedded_copy(node jsonb, guests jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _written text := coalesce(node ->> '$ref', node ->> '$refOriginal');
    _copy jsonb;
begin
    if jsonb_typeof(node -> '$refResolved') <> 'string' then
        return null;
    end if;
    _copy := guests -> (node ->> '$refResolved');
    if strpos(_written, '#') > 0 then
        _copy := _copy #> refinery.pointer_tokens(split_part(_written, '#', 2));
        if _copy is null then
            perform refinery.refuse_fragment(node ->> '$refResolved', _written);
        end if;
    end if;
    return _copy;
end
$$;
