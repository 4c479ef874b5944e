-- The keys and indexes of a JSON pointer in URI fragment form, decoded.
create or replace function refinery.pointer_tokens(fragment text) returns text[]
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    _pointer text := fragment;
begin
    if coalesce(_pointer, '') = '' then
        return '{}';
    end if;
    if strpos(_pointer, '%') > 0 then
        select convert_from(string_agg(case when p[1] like '\%%' then decode(substr(p[1], 2), 'hex')
                                            else convert_to(p[1], 'UTF8') end, '' order by n), 'UTF8')
        into _pointer
        from regexp_matches(fragment, '%[0-9A-Fa-f]{2}|[^%]+', 'g') with ordinality as parts (p, n);
    end if;
    return array(select replace(replace(t, '~1', '/'), '~0', '~')
                 from unnest(regexp_split_to_array(substr(_pointer, 2), '/')) with ordinality as tokens (t, n) order by n);
end
$$;
