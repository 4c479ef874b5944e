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
