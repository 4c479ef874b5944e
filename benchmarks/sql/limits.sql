-- What the questions at the limits are about, written past refine(): a hub that :count schemas refer to twice, and a line
-- of :count versions. Triggers and foreign keys are left out; what they would fill is filled beside.
set session_replication_role = replica;

with made as (
    insert into refinery.refinements
    select gen_random_uuid(), r.position + 1, gen_random_uuid(), sha256('limits'), 'limits', r.time,
           'main@system/genesis?1', '{}', '{}', '{}', sha256('limits')
    from refinery.refinements r order by r.position desc limit 1
    returning id, position
), vibe as (
    insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, schema,
                                solution, schema_refs, content_digest, digest)
    select 'main@' || v.id || '?1', v.id, '{main}', 1, 'RECORD', 'main@system/genesis?1', m.id, m.position, v.n, v.schema,
           '{"a": 1}', '{}', sha256('limits'), sha256(convert_to(v.id, 'UTF8'))
    from made m, (
        select 0, 'hub', '{"type": "object"}'::jsonb
        union all select 1, 'hub/other', '{"type": "object"}'
        union all
        select n + 1, 'hub/' || n, jsonb_build_object('allOf', jsonb_build_array(
            '{"$ref": "aug:/hub", "$refResolved": "main@hub?1"}'::jsonb,
            '{"$ref": "aug:/hub/other", "$refResolved": "main@hub/other?1"}'::jsonb))
        from generate_series(1, :count) n
    ) as v (n, id, schema)
    returning ref, id, position, ordinal
), branch as (
    insert into refinery.vibe_branches (branch, id, revision, position, ordinal, ref)
    select 'main', v.id, 1, v.position, v.ordinal, v.ref from vibe v
)
insert into refinery.vibe_refs (from_ref, to_ref, type, floating, position, branch, from_id, from_revision, to_id, to_revision)
select v.ref, 'main@' || e.id || '?1', 'schema', true, v.position, 'main', v.id, 1, e.id, 1
from vibe v, (values ('hub'), ('hub/other')) as e (id) where v.ordinal > 1
union all
select v.ref, 'main@system/genesis?1', 'author', false, v.position, 'main', v.id, 1, 'system/genesis', 1 from vibe v;

with made as (
    insert into refinery.refinements
    select gen_random_uuid(), r.position + n, gen_random_uuid(), sha256('limits'), 'limits', r.time,
           'main@system/genesis?1', '{}', '{}', '{}', sha256('limits')
    from (select position, time from refinery.refinements order by position desc limit 1) r, generate_series(1, :count) n
    returning id, position
), vibe as (
    insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, schema,
                                solution, schema_refs, content_digest, digest)
    select 'main@long/line?' || m.n, 'long/line', '{main}', m.n, 'RECORD', 'main@system/genesis?1', m.id, m.position, 0, '{}',
           to_jsonb(m.n), '{}', sha256('limits'), sha256(convert_to('long/line' || m.n, 'UTF8'))
    from (select id, position, row_number() over (order by position)::integer as n from made) m
    returning ref, revision, position
)
insert into refinery.vibe_branches (branch, id, revision, position, ordinal, ref)
select 'main', 'long/line', v.revision, v.position, 0, v.ref from vibe v;

set session_replication_role = origin;

analyze refinery.vibes, refinery.vibe_refs, refinery.vibe_branches, refinery.refinements
