-- All Vibes that a pinned schema is composed from, those before that others are composed from. Those in extra (ref to
-- pinned schema) need not be stored, and win. Refuses what is not there, 32 levels, and 1 MiB, counted while it reads.
create or replace function refinery.schema_closure(pinned jsonb, extra jsonb default '{}')
returns table (ref text, schema jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _refs text[] := '{}';
    _schemas jsonb[] := '{}';
    _pins jsonb[] := '{}';
    _levels integer[] := '{}';
    _level integer := 0;
    _bytes bigint := octet_length(pinned::text);
    _wave text[] := array(select distinct p.ref from refinery.schema_pins(pinned) p);
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
            where w.ref <> all (_refs)
        loop
            if not _found.known then
                perform refinery.refuse(
                    'UNKNOWN_REFERENCE', jsonb_build_object('field', 'schema', 'reference', _found.ref));
            elsif _found.schema is null then
                perform refinery.refuse('SCHEMA_MISSING', jsonb_build_object('ref', _found.ref));
            end if;
            _bytes := _bytes + octet_length(_found.schema::text);
            perform refinery.check_resolved_size(_bytes);
            _refs := _refs || _found.ref;
            _schemas := _schemas || _found.schema;
            _pins := _pins || to_jsonb(array(select distinct p.ref from refinery.schema_pins(_found.schema) p));
            _levels := _levels || _level;
        end loop;
        -- The longest way counts, so that whatever uses a Vibe has a lower level than the Vibe.
        _levels := array(select case when r = any (_wave) then _level else l end
                         from unnest(_refs, _levels) with ordinality as known (r, l, n) order by n);
        _wave := array(select distinct p.ref
                       from unnest(_refs, _pins) as known (ref, pins), jsonb_array_elements_text(known.pins) as p (ref)
                       where known.ref = any (_wave));
    end loop;
    return query select c.r, c.s from unnest(_refs, _schemas, _levels) as c (r, s, l) order by c.l desc, c.r collate "C";
end
$$;
