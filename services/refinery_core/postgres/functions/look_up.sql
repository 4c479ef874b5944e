-- All that judge() needs to know of the ledger for a batch of requests, in a few statements:
--   heads  "<branch> <id>" -> [ref, revision] of the latest; a line whose branch exists is there, with nulls if it is new
--   vibes  name -> [ref, type, digest]; a name is a ref, an alias, or "<branch> <id>?<revision>"
--   types  id -> type
--   busy   the ids that several of the batch name: what one of them does to such an id, the next ones have to see
create or replace function refinery.look_up(requests jsonb) returns refinery.known
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _known refinery.known;
    _now constant bigint := 9223372036854775807;
    _drafts jsonb[] := array(select d from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'drafts') d);
    _inputs jsonb[] := array(
        select distinct i
        from jsonb_array_elements(requests) r,
             jsonb_array_elements(
                 jsonb_build_array(r -> 'author') || (r -> 'targets') || (r -> 'instructions') || (r -> 'budgets')) i);
begin
    select coalesce(jsonb_object_agg(l.branch || ' ' || l.id, jsonb_build_array(h.ref, h.revision)), '{}') into _known.heads
    from (
        select b, d ->> 'id' from unnest(_drafts) d, jsonb_array_elements_text(d -> 'branches') b
        union
        select p ->> 'branch', p ->> 'id' from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'pins') p
        union
        select i ->> 'branch', i ->> 'id' from unnest(_inputs) i
        where jsonb_typeof(i) = 'object' and i ->> 'revision' is null
    ) as l (branch, id),
    lateral (select from refinery.branches k where k.name = l.branch limit 1) known,
    lateral refinery.latest(l.branch, l.id, _now) h;

    with named (name, ref) as (
        select i #>> '{}', refinery.canonical_ref(i #>> '{}') from unnest(_inputs) i where jsonb_typeof(i) = 'string'
        union
        select (i ->> 'branch') || ' ' || (i ->> 'id') || '?' || (i ->> 'revision'),
               refinery.numbered(i ->> 'branch', i ->> 'id', (i ->> 'revision')::integer, _now)
        from unnest(_inputs) i, lateral (select from refinery.branches k where k.name = i ->> 'branch' limit 1) known
        where i ->> 'revision' is not null
        union
        select p.ref, p.ref from unnest(_drafts) d, refinery.schema_pins(d -> 'schema') p where d ? 'schema'
        union
        select d ->> 'prototype_ref', d ->> 'prototype_ref' from unnest(_drafts) d where d ? 'prototype_ref'
        union
        select h.value ->> 0, h.value ->> 0 from jsonb_each(_known.heads) h where h.value ->> 0 is not null
    )
    select coalesce(jsonb_object_agg(n.name, jsonb_build_array(n.ref, v.type, encode(v.digest, 'hex'))), '{}') into _known.vibes
    from (select name, ref from named union select ref, ref from named) n,
    lateral (select w.type, w.digest from refinery.vibes w where w.ref = n.ref limit 1) v;

    select coalesce(jsonb_object_agg(i.id, v.type), '{}') into _known.types
    from (select distinct d ->> 'id' from unnest(_drafts) d) as i (id),
    lateral (select w.type from refinery.vibes w where w.id = i.id order by w.position, w.ordinal limit 1) v;

    _known.busy := array(
        select m.id
        from (
            select d ->> 'id' from unnest(_drafts) d
            union all
            select p ->> 'id' from jsonb_array_elements(requests) r, jsonb_array_elements(r -> 'pins') p
            union all
            select i ->> 'id' from unnest(_inputs) i where jsonb_typeof(i) = 'object'
            union all
            select split_part(split_part(n.name, '@', 2), '?', 1)
            from (
                select i #>> '{}' from unnest(_inputs) i where jsonb_typeof(i) = 'string'
                union all select p.ref from unnest(_drafts) d, refinery.schema_pins(d -> 'schema') p where d ? 'schema'
                union all select d ->> 'prototype_ref' from unnest(_drafts) d where d ? 'prototype_ref'
            ) as n (name)
            where not _known.vibes ? n.name
        ) as m (id)
        group by m.id having count(*) > 1);
    return _known;
end
$$;
