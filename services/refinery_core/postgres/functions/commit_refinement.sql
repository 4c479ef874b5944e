-- Commits one refine at a position that the caller holds the lock for. Refuses by RF000; RF001 says that a schema pin
-- or a foretold number went stale and the request has to be pinned again. The request is described in refine.sql.
create or replace function refinery.commit_refinement(request jsonb, "position" bigint, "time" timestamptz, previous bytea)
returns jsonb
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    _now constant bigint := 9223372036854775807;
    _id uuid := refinery.refinement_id((request ->> 'request_id')::uuid);
    _author text := (refinery.pin_inputs('author_ref', jsonb_build_array(request -> 'author')))[1];
    _targets text[] := refinery.pin_inputs('target_refs', request -> 'targets');
    _instructions text[] := refinery.pin_inputs('instruction_refs', request -> 'instructions');
    _budgets text[] := refinery.pin_inputs('budget_refs', request -> 'budgets');
    _author_type text := (select v.type from refinery.vibes v where v.ref = _author);
    _draft jsonb;
    _ordinal integer := 0;
    _branches text[];
    _revision integer;
    _ref text;
    _digest bytea;
    _digests bytea[] := '{}';
    _refs text[] := '{}';
    _revisions integer[] := '{}';
    _chain bytea;
begin
    if _author_type not in ('ROLE', 'PROCESS') then
        perform refinery.refuse('AUTHOR_NOT_ALLOWED', jsonb_build_object('ref', _author, 'type', _author_type));
    end if;

    if request -> 'pins' <> '[]' and exists (
        select from jsonb_to_recordset(request -> 'pins') as p (branch text, id text, ref text)
        where p.ref is distinct from (select l.ref from refinery.latest(p.branch, p.id, _now) l))
    then
        raise sqlstate 'RF001' using message = 'a pin went stale';
    end if;

    for _draft in select value from jsonb_array_elements(request -> 'drafts') loop
        _branches := array(select jsonb_array_elements_text(_draft -> 'branches'));
        _revision := refinery.next_revision(_draft, _branches, _ordinal);
        _ref := _branches[1] || '@' || (_draft ->> 'id') || '?' || _revision;
        if _ref <> _draft ->> 'foretold' then
            raise sqlstate 'RF001' using message = 'a foretold number went stale';
        end if;
        _digest := refinery.vibe_digest(
            _draft ->> 'type', _ref, _branches, _author, _draft ->> 'prototype_ref', _targets, _instructions, _budgets,
            case when _draft ? 'schema' then array(select p.ref from refinery.schema_pins(_draft -> 'schema') p) else '{}' end,
            decode(_draft ->> 'content_digest', 'hex'));

        insert into refinery.vibes (
            ref, id, branches, revision, type, author_ref, prototype_ref, refinement_id, position, ordinal,
            context, schema, solution, content_digest, digest)
        values (
            _ref, _draft ->> 'id', _branches, _revision, _draft ->> 'type', _author, _draft ->> 'prototype_ref', _id,
            commit_refinement.position, _ordinal, _draft -> 'context', _draft -> 'schema', _draft -> 'solution',
            decode(_draft ->> 'content_digest', 'hex'), _digest);

        _refs := _refs || _ref;
        _revisions := _revisions || _revision;
        _digests := _digests || _digest;
        _ordinal := _ordinal + 1;
    end loop;

    _chain := refinery.chain(
        previous, commit_refinement.position, commit_refinement.time, request ->> 'principal',
        (request ->> 'request_id')::uuid, decode(request ->> 'request_digest', 'hex'), _digests);

    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    values (
        _id, commit_refinement.position, (request ->> 'request_id')::uuid, decode(request ->> 'request_digest', 'hex'),
        request ->> 'principal', commit_refinement.time, _author, _targets, _instructions, _budgets, _chain);

    return jsonb_build_object(
        'id', _id, 'position', commit_refinement.position,
        'time', (extract(epoch from commit_refinement.time) * 1000000)::bigint, 'chain', encode(_chain, 'hex'),
        'author_ref', _author, 'target_refs', _targets, 'instruction_refs', _instructions, 'budget_refs', _budgets,
        'refs', _refs, 'revisions', _revisions, 'digests', array(select encode(d, 'hex') from unnest(_digests) d));
end
$$;
