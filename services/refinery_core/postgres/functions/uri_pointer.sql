-- A JSON pointer as a URI fragment; with escaped, percent-encoded characters stay as they are.
create or replace function refinery.uri_pointer(pointer text, escaped boolean default false) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    _kept text := '[A-Za-z0-9._~!$&''()*+,;=:@/?' || case when escaped then '%' else '' end || '-]';
begin
    if pointer ~ ('^' || _kept || '*$') then
        return pointer;
    end if;
    return (
        select string_agg(
            case when c ~ _kept then c
                 else regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1', 'g') end, '' order by n)
        from regexp_split_to_table(pointer, '') with ordinality as chars (c, n));
end
$$;
