-- What one refine comes to, by what look_up() found; it reads and writes nothing.
--   outcome 'accepted'  answer: pinned author_ref, target_refs, instruction_refs, budget_refs; refs, revisions, digests of
--                       the drafts
--           'refused'   answer: reason and metadata
--           'stale'     a floating pin is not the latest any more, or a foretold number is not the one it gets
create or replace function refinery.judge(request jsonb, known refinery.known, out outcome text, out answer jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _author text := (refinery.pin_inputs(jsonb_build_array(request -> 'author'), known.heads, known.vibes))[1];
    _targets text[] := '{}';
    _instructions text[] := '{}';
    _budgets text[] := '{}';
    _draft jsonb;
    _branches text[];
    _id text;
    _highest integer;
    _ref text;
    _digest text;
    _refs text[] := '{}';
    _revisions integer[] := '{}';
    _digests text[] := '{}';
begin
    if request -> 'targets' <> '[]' then
        _targets := refinery.pin_inputs(request -> 'targets', known.heads, known.vibes);
    end if;
    if request -> 'instructions' <> '[]' then
        _instructions := refinery.pin_inputs(request -> 'instructions', known.heads, known.vibes);
    end if;
    if request -> 'budgets' <> '[]' then
        _budgets := refinery.pin_inputs(request -> 'budgets', known.heads, known.vibes);
    end if;

    outcome := 'refused';
    answer := refinery.missing_input(request, _author, _targets, _instructions, _budgets);
    if answer is not null then
        return;
    end if;
    if known.vibes -> _author ->> 1 not in ('ROLE', 'PROCESS') then
        answer := refinery.refusal('AUTHOR_NOT_ALLOWED', jsonb_build_object('ref', _author, 'type', known.vibes -> _author -> 1));
        return;
    end if;

    outcome := 'stale';
    if request -> 'pins' <> '[]' and exists (
        select from jsonb_array_elements(request -> 'pins') p
        where known.heads -> ((p ->> 'branch') || ' ' || (p ->> 'id')) ->> 0 is distinct from p ->> 'ref')
    then
        return;
    end if;

    for _draft in select value from jsonb_array_elements(request -> 'drafts') loop
        _id := _draft ->> 'id';
        select array_agg(b), max(coalesce((known.heads -> (b || ' ' || _id) ->> 1)::integer, 0)) into _branches, _highest
        from jsonb_array_elements_text(_draft -> 'branches') b;

        outcome := 'refused';
        answer := refinery.refused_draft(_draft, _branches, _highest, cardinality(_refs), known.heads, known.types);
        if answer is not null then
            return;
        end if;
        _ref := _branches[1] || '@' || _id || '?' || (_highest + 1);
        if _ref <> _draft ->> 'foretold' then
            outcome := 'stale';
            return;
        end if;
        _digest := refinery.vibe_digest(
            _draft ->> 'type', _ref, _branches, _author, _draft ->> 'prototype_ref', _targets, _instructions, _budgets,
            case when _draft ? 'schema' then array(select p.ref from refinery.schema_pins(_draft -> 'schema') p) else '{}' end,
            _draft ->> 'content_digest', known.vibes);
        if _digest is null then
            answer := refinery.missing_reference(_draft, cardinality(_refs), known.vibes);
            return;
        end if;

        _refs := _refs || _ref;
        _revisions := _revisions || (_highest + 1);
        _digests := _digests || _digest;
        if _id = any (known.busy) then
            known := refinery.with_vibe(known, _id, _branches, _draft -> 'type', _ref, _highest + 1, _digest);
        end if;
    end loop;

    outcome := 'accepted';
    answer := jsonb_build_object(
        'author_ref', _author, 'target_refs', _targets, 'instruction_refs', _instructions, 'budget_refs', _budgets,
        'refs', _refs, 'revisions', _revisions, 'digests', _digests);
end
$$;

-- What is known once a Vibe is accepted that others of the batch name too.
create or replace function refinery.with_vibe(
    known refinery.known, id text, branches text[], type jsonb, ref text, revision integer, digest text)
returns refinery.known
language sql immutable parallel safe
as $$ select row(
    known.heads || (select jsonb_object_agg(b || ' ' || id, jsonb_build_array(ref, revision)) from unnest(branches) b),
    known.vibes || jsonb_build_object(ref, jsonb_build_array(ref, type, digest)),
    known.types || jsonb_build_object(id, type),
    known.busy)::refinery.known $$;

-- What is known once a request is accepted: its Vibes that others of the batch name are added.
create or replace function refinery.with_busy_vibes(known refinery.known, drafts jsonb, answer jsonb)
returns refinery.known
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _draft jsonb;
    _ordinal integer := 0;
begin
    if known.busy = '{}' then
        return known;
    end if;
    for _draft in select value from jsonb_array_elements(drafts) loop
        if _draft ->> 'id' = any (known.busy) then
            known := refinery.with_vibe(
                known, _draft ->> 'id', array(select jsonb_array_elements_text(_draft -> 'branches')), _draft -> 'type',
                answer -> 'refs' ->> _ordinal, (answer -> 'revisions' ->> _ordinal)::integer,
                answer -> 'digests' ->> _ordinal);
        end if;
        _ordinal := _ordinal + 1;
    end loop;
    return known;
end
$$;

create or replace function refinery.refusal(reason text, metadata jsonb) returns jsonb
language sql immutable parallel safe
as $$ select jsonb_build_object('reason', reason, 'metadata', metadata) $$;

create or replace function refinery.missing_input(
    request jsonb, author text, targets text[], instructions text[], budgets text[]) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _place integer;
    _field text;
    _input jsonb;
begin
    if author is null then
        _field := 'author_ref';
        _input := request -> 'author';
    elsif array_position(targets, null) is not null then
        _place := array_position(targets, null) - 1;
        _field := format('target_refs[%s]', _place);
        _input := request -> 'targets' -> _place;
    elsif array_position(instructions, null) is not null then
        _place := array_position(instructions, null) - 1;
        _field := format('instruction_refs[%s]', _place);
        _input := request -> 'instructions' -> _place;
    elsif array_position(budgets, null) is not null then
        _place := array_position(budgets, null) - 1;
        _field := format('budget_refs[%s]', _place);
        _input := request -> 'budgets' -> _place;
    else
        return null;
    end if;
    return refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object(
        'field', _field, 'reference', coalesce(_input ->> 'reference', _input #>> '{}')));
end
$$;

create or replace function refinery.refused_draft(
    draft jsonb, branches text[], highest integer, ordinal integer, heads jsonb, types jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _branch text;
begin
    foreach _branch in array branches loop
        if not heads ? (_branch || ' ' || (draft ->> 'id')) then
            return refinery.refusal('BRANCH_NOT_FOUND', jsonb_build_object('branch', _branch));
        end if;
    end loop;
    if (draft ->> 'expected_revision')::integer <> highest then
        return refinery.refusal('REVISION_CONFLICT', jsonb_build_object(
            'field', format('drafts[%s].expected_revision', ordinal), 'id', draft ->> 'id',
            'current', highest, 'expected', draft ->> 'expected_revision'));
    end if;
    if types ->> (draft ->> 'id') <> draft ->> 'type' then
        return refinery.refusal('TYPE_FIXED', jsonb_build_object(
            'field', format('drafts[%s].type', ordinal), 'id', draft ->> 'id',
            'type', types ->> (draft ->> 'id'), 'asked', draft ->> 'type'));
    end if;
    return null;
end
$$;

create or replace function refinery.missing_reference(draft jsonb, ordinal integer, vibes jsonb) returns jsonb
language sql immutable parallel safe
as $$ select refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object('field', format('drafts[%s]', ordinal), 'reference', r.ref))
from (
    select draft ->> 'prototype_ref' where draft ? 'prototype_ref'
    union all
    select p.ref from refinery.schema_pins(draft -> 'schema') p
) as r (ref)
where not vibes ? r.ref limit 1 $$;
