-- A path without its "." and ".." segments (RFC 3986, 5.2.4).
create or replace function refinery.without_dots(path text) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    _segments text[] := string_to_array(path, '/');
    _kept text[] := '{}';
    _root integer := case when starts_with(path, '/') then 1 else 0 end;
begin
    if strpos(path, '.') = 0 then
        return path;
    end if;
    for i in 1 .. cardinality(_segments) loop
        if _segments[i] not in ('.', '..') then
            _kept := _kept || _segments[i];
            continue;
        end if;
        if _segments[i] = '..' and cardinality(_kept) > _root then
            _kept := trim_array(_kept, 1);
        end if;
        if i = cardinality(_segments) then
            _kept := _kept || ''::text;
        end if;
    end loop;
    return array_to_string(_kept, '/');
end
$$;
