-- What those requests of a batch come to that are 'accepted' so far, one after the other, by what look_up() found; it reads
-- and writes nothing else. place counts from 1.
--   outcome 'accepted'  answer: pinned author_ref, target_refs, instruction_refs, budget_refs; refs, revisions, digests of
--                       the drafts; held_as where the request has to be authorised
--           'refused'   answer: reason and metadata
--           'stale'     a floating pin is not the latest any more, a foretold number is not the one it gets, or a Role was
--                       revised by this batch, whose rules are not in the tables yet
--
-- What an accepted draft changes is changed in the arrays, in place, so that the next one sees it: a batch takes time in
-- proportion to its size. A request that is not accepted takes its changes back.
create or replace function refinery.judge(requests jsonb, outcomes text[])
returns table (place integer, outcome text, answer jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _known constant refinery.known := refinery.look_up(requests);
    _slots constant jsonb := _known.slots;
    _awaited constant jsonb := _known.awaited;
    _one_by_itself constant boolean := jsonb_array_length(requests) = 1;
    _refs text[] := _known.refs;
    _revisions integer[] := _known.revisions;
    _types text[] := _known.types;
    _digests bytea[] := _known.digests;
    _undo_slots integer[];
    _undo_refs text[];
    _undo_revisions integer[];
    _undo_types text[];
    _undo_digests bytea[];
    _request jsonb;
    _input record;
    _draft record;
    _author text;
    _author_type text;
    _targets text[];
    _instructions text[];
    _budgets text[];
    _inputs bytea;
    _referred_refs text[];
    _referred_digests bytea[];
    _referred bytea;
    _names text[];
    _name text;
    _slot integer;
    _changed integer[];
    _highest integer;
    _ref text;
    _digest bytea;
    _made_refs text[];
    _made_revisions integer[];
    _made_digests text[];
    _roles_change boolean := false;
    _revises_role boolean;
    _authority jsonb;
    _problem text;
begin
    for _request, place in
        select q.request, q.place
        from rows from (jsonb_array_elements(requests), unnest(outcomes)) with ordinality as q (request, outcome, place)
        where q.outcome = 'accepted'
        order by q.place
    loop
        outcome := 'accepted';
        answer := null;
        _targets := '{}';
        _instructions := '{}';
        _budgets := '{}';
        _referred_refs := '{}';
        _referred_digests := '{}';
        _undo_slots := '{}';
        _made_refs := '{}';
        _made_revisions := '{}';
        _made_digests := '{}';
        _revises_role := false;
        _authority := null;

        for _input in select * from refinery.request_inputs(_request, _slots) loop
            _ref := _refs[_input.slot];
            if _ref is null then
                outcome := 'refused';
                answer := refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object(
                    'field', _input.field, 'reference', _input.reference));
                exit;
            end if;
            _referred_refs := _referred_refs || _ref;
            _referred_digests := _referred_digests || _digests[_input.slot];
            if _input.list = 'target_refs' then
                _targets := _targets || _ref;
            elsif _input.list = 'instruction_refs' then
                _instructions := _instructions || _ref;
            elsif _input.list = 'budget_refs' then
                _budgets := _budgets || _ref;
            elsif _types[_input.slot] in ('ROLE', 'PROCESS') then
                _author := _ref;
                _author_type := _types[_input.slot];
            else
                outcome := 'refused';
                answer := refinery.refusal('AUTHOR_NOT_ALLOWED', jsonb_build_object('ref', _ref, 'type', _types[_input.slot]));
                exit;
            end if;
        end loop;

        if outcome = 'accepted' then
            for _ref, _slot in
                select p ->> 'ref', (_slots -> ((p ->> 'branch') || ' ' || (p ->> 'id')))::integer
                from jsonb_array_elements(_request -> 'pins') p
            loop
                if _refs[_slot] is distinct from _ref then
                    outcome := 'stale';
                    exit;
                end if;
            end loop;
        end if;

        if outcome = 'accepted' and _request ? 'authority' then
            _slot := _slots -> ('main ' || split_part(split_part(_author, '@', 2), '?', 1));
            if _roles_change then
                outcome := 'stale';
            else
                _authority := refinery.judge_authority(_request, _author, _author_type, _refs[_slot]);
                if not _authority ? 'held_as' then
                    outcome := 'refused';
                    answer := _authority;
                end if;
            end if;
        end if;

        if outcome = 'accepted' then
            _inputs := refinery.lp(_targets) || refinery.lp(_instructions) || refinery.lp(_budgets);
            _referred := refinery.referred(_referred_refs, _referred_digests);
            for _draft in select * from refinery.drafts_of(_request, _slots) loop
                _highest := 0;
                foreach _slot in array _draft.lines loop
                    exit when _slot is null;
                    _highest := greatest(_highest, _revisions[_slot]);
                end loop;
                _ref := _draft.branches[1] || '@' || _draft.id || '?' || (_highest + 1);

                outcome := 'refused';
                if _slot is null then
                    answer := refinery.refusal('BRANCH_NOT_FOUND', jsonb_build_object(
                        'branch', _draft.branches[array_position(_draft.lines, null)]));
                    exit;
                elsif _draft.expected <> _highest then
                    answer := refinery.refusal('REVISION_CONFLICT', jsonb_build_object(
                        'field', format('drafts[%s].expected_revision', _draft.ordinal), 'id', _draft.id,
                        'current', _highest, 'expected', _draft.expected));
                    exit;
                elsif _types[_draft.id_slot] <> _draft.type then
                    answer := refinery.refusal('TYPE_FIXED', jsonb_build_object(
                        'field', format('drafts[%s].type', _draft.ordinal), 'id', _draft.id,
                        'type', _types[_draft.id_slot], 'asked', _draft.type));
                    exit;
                elsif _ref <> _draft.foretold then
                    outcome := 'stale';
                    exit;
                elsif _draft.type = 'ROLE' and 'main' = any (_draft.branches) then
                    _revises_role := true;
                    if _request ? 'authority' then
                        _problem := refinery.escalation(
                            _author, _refs[_draft.lines[array_position(_draft.branches, 'main')]], _draft.role);
                        if _problem is not null then
                            answer := refinery.denial(_request, 'refine', _draft.id, 'main', _author, format(
                                'drafts[%s].solution.%s', _draft.ordinal, _problem));
                            exit;
                        end if;
                    end if;
                end if;

                if _draft.names = '{}' then
                    _digest := refinery.vibe_digest(
                        _draft.type, _ref, _draft.branches, _author, _draft.prototype_ref, _inputs, _draft.content_digest,
                        _referred);
                else
                    _names := _draft.names;
                    _digest := null;
                    declare
                        _all_refs text[] := _referred_refs;
                        _all_digests bytea[] := _referred_digests;
                    begin
                        foreach _name in array _names loop
                            _slot := _slots -> _name;
                            exit when _digests[_slot] is null;
                            _all_refs := _all_refs || _name;
                            _all_digests := _all_digests || _digests[_slot];
                        end loop;
                        if _digests[_slot] is null then
                            answer := refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object(
                                'field', format('drafts[%s]', _draft.ordinal), 'reference', _name));
                            exit;
                        end if;
                        _digest := refinery.vibe_digest(
                            _draft.type, _ref, _draft.branches, _author, _draft.prototype_ref, _inputs, _draft.content_digest,
                            refinery.referred(_all_refs, _all_digests));
                    end;
                end if;

                outcome := 'accepted';
                _made_refs := _made_refs || _ref;
                _made_revisions := _made_revisions || (_highest + 1);
                _made_digests := _made_digests || encode(_digest, 'hex');
                _changed := _draft.lines || _draft.id_slot;
                if _awaited ? _draft.id then
                    _changed := _changed || array(
                        select (_slots -> n.name)::integer
                        from unnest(_draft.branches) b,
                             lateral (values (b || '@'), (b || ' ')) as k (start),
                             lateral (select k.start || _draft.id || '?' || (_highest + 1)) as n (name)
                        where _slots ? n.name);
                end if;
                foreach _slot in array _changed loop
                    if not _one_by_itself then
                        _undo_slots := _undo_slots || _slot;
                        _undo_refs[cardinality(_undo_slots)] := _refs[_slot];
                        _undo_revisions[cardinality(_undo_slots)] := _revisions[_slot];
                        _undo_types[cardinality(_undo_slots)] := _types[_slot];
                        _undo_digests[cardinality(_undo_slots)] := _digests[_slot];
                    end if;
                    _refs[_slot] := _ref;
                    _revisions[_slot] := _highest + 1;
                    _types[_slot] := _draft.type;
                    _digests[_slot] := _digest;
                end loop;
            end loop;
        end if;

        if outcome = 'accepted' then
            answer := jsonb_build_object(
                'author_ref', _author, 'target_refs', _targets, 'instruction_refs', _instructions, 'budget_refs', _budgets,
                'refs', _made_refs, 'revisions', _made_revisions, 'digests', _made_digests) || coalesce(_authority, '{}');
            _roles_change := _roles_change or _revises_role;
        else
            for _undone in reverse cardinality(_undo_slots) .. 1 loop
                _slot := _undo_slots[_undone];
                _refs[_slot] := _undo_refs[_undone];
                _revisions[_slot] := _undo_revisions[_undone];
                _types[_slot] := _undo_types[_undone];
                _digests[_slot] := _undo_digests[_undone];
            end loop;
        end if;
        return next;
    end loop;
end
$$;
