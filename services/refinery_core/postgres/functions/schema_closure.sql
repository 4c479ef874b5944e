-- All Vibes that a pinned schema is composed from, each after those that it is composed from. Those in extra (ref to
-- pinned schema) need not be stored, and win. Refuses a missing Vibe or schema, more than 32 levels, and more than 1 MiB, counted while it reads.
create or replace function refinery.schema_closure(pinned jsonb, extra jsonb default '{}')
returns table (ref text, schema jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _refs text[] := '{}';
    _schemas jsonb[] := '{}';
    _levels integer[] := '{}';
    -- By ref: its place in these arrays, and the refs that it refers to. Both grow by a level at a time.
    _places jsonb := '{}';
    _pins jsonb := '{}';
    _level integer := 0;
    _bytes bigint := octet_length(pinned::text);
    _wave text[] := array(select distinct p.ref from refinery.schema_pins(pinned) p);
    _ref text;
    _found record;
begin
    perform refinery.check_resolved_size(_bytes);
    while cardinality(_wave) > 0 loop
        _level := _level + 1;
        if _level > 32 then
            perform refinery.refuse('RESOLUTION_TOO_DEEP', '{"field": "schema", "limit": "32"}');
        end if;
        for _found in
            select w.ref, v.ref is not null or extra ? w.ref as known,
                   case when extra ? w.ref then extra -> w.ref else v.schema end as schema
            from unnest(_wave) as w (ref) left join refinery.vibes v on v.ref = w.ref
            where not _places ? w.ref
        loop
            if not _found.known then
                perform refinery.refuse(
                    'UNKNOWN_REFERENCE', jsonb_build_object('field', 'schema', 'reference', _found.ref));
            elsif _found.schema is null then
                perform refinery.refuse('SCHEMA_MISSING', jsonb_build_object('ref', _found.ref));
            end if;
            _bytes := _bytes + octet_length(_found.schema::text);
            if _bytes > 1048576 then
                perform refinery.check_resolved_size(_bytes);
            end if;
            _refs := _refs || _found.ref;
            _schemas := _schemas || _found.schema;
            _levels := _levels || _level;
        end loop;
        select _places || coalesce(jsonb_object_agg(n.ref, n.place), '{}'),
               _pins || coalesce(jsonb_object_agg(n.ref, to_jsonb(array(
                   select distinct p.ref from refinery.schema_pins(_schemas[n.place]) p))), '{}')
        into _places, _pins
        from (select r, p from unnest(_refs) with ordinality as known (r, p) where _levels[p] = _level) as n (ref, place);
        -- The longest way counts, so that all that refer to a Vibe have a lower level than the Vibe.
        foreach _ref in array _wave loop
            _levels[(_places ->> _ref)::integer] := _level;
        end loop;
        _wave := array(select distinct p.ref from unnest(_wave) as w (ref), jsonb_array_elements_text(_pins -> w.ref) as p (ref));
    end loop;
    return query select c.r, c.s from unnest(_refs, _schemas, _levels) as c (r, s, l) order by c.l desc, c.r collate "C";
end
$$;
