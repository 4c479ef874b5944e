-- An address inside a schema, read against its base (RFC 3986, 5.2), as refinery_core/vibe/addresses.py does it.
create or replace function refinery.resolve_address(base text, address text, out absolute text, out fragment text)
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    -- 2 scheme, 4 authority, 5 path, 7 query, 9 fragment
    _pattern constant text := '^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?$';
    _a text[] := regexp_match(address, _pattern);
    _b text[];
begin
    fragment := coalesce(_a[9], '');
    if _a[2] is null then
        _b := regexp_match(base, _pattern);
        _a[2] := _b[2];
        if _a[4] is null then
            _a[4] := _b[4];
            if _a[5] = '' then
                _a[5] := _b[5];
                _a[7] := coalesce(_a[7], _b[7]);
            elsif not starts_with(_a[5], '/') then
                _a[5] := case when _b[4] is not null and _b[5] = '' then '/'
                              else substring(_b[5] from '^(.*/)') end || _a[5];
                _a[5] := coalesce(_a[5], (regexp_match(address, _pattern))[5]);
            end if;
        end if;
    end if;
    absolute := coalesce(_a[2] || ':', '') || coalesce('//' || _a[4], '') || refinery.without_dots(_a[5])
                || coalesce('?' || _a[7], '');
end
$$;
