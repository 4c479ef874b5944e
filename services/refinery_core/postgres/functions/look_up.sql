-- All that judge() needs to know of the ledger for a batch of requests, in one statement. `slots` gives each key its place
-- in the arrays; the keys are of three kinds, which cannot be mistaken for each other:
--   "<branch> <id>"              a line: the latest ref on it, its revision, and, where an input floats on it, type and
--                                digest; nulls where the line is new, no slot where the branch does not exist
--   "<ref>", "<branch> <id>?<n>" a name of a Vibe: its ref, type and digest; nulls where there is none yet
--   "<id>"                       an id of a draft: its type; null where the id is new
-- `awaited` has the ids of the names that mean nothing yet: a draft of the batch may give them their meaning.
create or replace function refinery.look_up(requests jsonb) returns refinery.known
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _now constant bigint := 9223372036854775807;
    _known refinery.known;
begin
    with request as materialized (
        select value as request from jsonb_array_elements(requests)
    ), draft as materialized (
        select d.value as draft, d.value ->> 'id' as id from request r, jsonb_array_elements(r.request -> 'drafts') d
    ), input as materialized (
        select distinct i.value as input, jsonb_typeof(i.value) = 'string' as exact
        from request r, jsonb_array_elements(
            jsonb_build_array(r.request -> 'author') || (r.request -> 'targets') || (r.request -> 'instructions')
            || (r.request -> 'budgets')) i
    ), line as (
        select l.branch, l.id, bool_or(l.floats) as floats
        from (
            select b, d.id, false from draft d, jsonb_array_elements_text(d.draft -> 'branches') b
            union all
            select p ->> 'branch', p ->> 'id', false from request r, jsonb_array_elements(r.request -> 'pins') p
            union all
            select 'main', coalesce(a ->> 'id', split_part(split_part(a #>> '{}', '@', 2), '?', 1)), false
            from request r, lateral (select r.request -> 'author') as n (a) where r.request ? 'authority'
            union all
            select i.input ->> 'branch', i.input ->> 'id', true from input i where not i.exact and i.input ->> 'revision' is null
        ) as l (branch, id, floats)
        group by l.branch, l.id
    ), branch as materialized (
        select b.name, c.names, c.untils
        from (select distinct branch as name from line) b, lateral refinery.branch_chain(b.name, _now) c
    ), name as (
        select i.input #>> '{}' as name, refinery.canonical_ref(i.input #>> '{}') as ref from input i where i.exact
        union
        select (i.input ->> 'branch') || ' ' || (i.input ->> 'id') || '?' || (i.input ->> 'revision'),
               refinery.numbered(i.input ->> 'branch', i.input ->> 'id', (i.input ->> 'revision')::integer, _now)
        from input i, lateral (select from refinery.branches k where k.name = i.input ->> 'branch' limit 1) known
        where i.input ->> 'revision' is not null
        union
        select n.ref, n.ref
        from draft d, lateral (
            select d.draft ->> 'prototype_ref' where d.draft ? 'prototype_ref'
            union all
            select jsonb_array_elements_text(d.draft -> 'schema_pins') where d.draft ? 'schema_pins'
        ) as n (ref)
    ), slot as materialized (
        select l.branch || ' ' || l.id as key, h.ref, h.revision, v.type, v.digest
        from line l
        join branch k on k.name = l.branch
        left join lateral (
            select b.ref, b.revision
            from unnest(k.names, k.untils) with ordinality as c (name, until, depth),
                 lateral (
                     select w.ref, w.revision from refinery.vibe_branches w
                     where w.branch = c.name and w.id = l.id and w.position <= c.until
                     order by w.position desc, w.revision desc limit 1) b
            order by c.depth limit 1) h on true
        left join lateral (select w.type, w.digest from refinery.vibes w where l.floats and w.ref = h.ref limit 1) v on true
        union all
        select n.name, v.ref, null, v.type, v.digest
        from name n
        left join lateral (select w.ref, w.type, w.digest from refinery.vibes w where w.ref = n.ref limit 1) v on true
        union all
        select i.id, null, null, v.type, null
        from (select distinct d.id from draft d) i
        left join lateral (
            select w.type from refinery.vibes w where w.id = i.id order by w.position, w.ordinal limit 1) v on true
    )
    select jsonb_object_agg(s.key, s.number), array_agg(s.ref order by s.number), array_agg(s.revision order by s.number),
           array_agg(s.type order by s.number), array_agg(s.digest order by s.number),
           coalesce(
               jsonb_object_agg(split_part(split_part(translate(s.key, ' ', '@'), '@', 2), '?', 1), true)
               filter (where s.digest is null and strpos(s.key, '?') > 0), '{}')
    into _known
    from (select *, row_number() over () as number from slot) s;
    return _known;
end
$$;
