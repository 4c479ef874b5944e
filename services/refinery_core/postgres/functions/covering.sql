-- All patterns that cover a name, or another pattern whole: `**`, itself, and "prefix/**" for every prefix. NULL for NULL.
create or replace function refinery.covering(name text) returns text[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    _parts constant text[] := string_to_array(name, '/');
    _prefix text := '';
    _patterns text[] := array['**', name];
begin
    if name is null then
        return null;
    end if;
    for _place in 1 .. cardinality(_parts) - 1 loop
        _prefix := _prefix || _parts[_place] || '/';
        _patterns := _patterns || (_prefix || '**');
    end loop;
    return _patterns;
end
$$;
