-- The one write. Takes a batch of requests and answers each for itself, in order: 'committed', 'replayed' (the
-- request_id was committed before with the same content), 'refused' (answer: reason and metadata) or 'stale' (pin the
-- schemas again and send the request again). A refusal touches no neighbour.
--
-- One lock for the batch, held through COMMIT, makes the order of positions the order of commits. It is a statement of
-- its own: what follows sees all that was committed before the lock was granted. Then: look up everything at once,
-- judge one request after the other in memory, insert everything at once.
--
-- A request: {request_id, request_digest, principal, author, targets, instructions, budgets, pins, drafts, authority?}.
--   author, targets …   see request_inputs.sql
--   pins                [{branch, id, ref}]: floating references of schemas and prototypes, which must still be the latest
--   authority           who acts, see judge_authority.sql; absent where nobody is authenticated, and nothing is judged. Only
--                       the principal that committed a request gets its answer again
--   drafts              [{type, id, branches, expected_revision?, foretold?, prototype_ref?, inherits?, schema_pins?, role?,
--                         content_digest}]: foretold is the ref that other drafts count on; schema_pins the refs that the
--                       schema is pinned to; role the members and rules of a Role; inherits the documents that are taken over
--                       from the stored prototype as they stand there
-- The documents come beside the requests, so that reading a request does not copy them: contexts, schemas (pinned) and
-- solutions of all drafts of the batch, in order; NULL where a draft has none, or takes it over.
--
-- Services of the release before call it too, while they are replaced one by one. So a request only grows: a member that is
-- added may be left out, and then means what was done before. What cannot grow so (an argument, a column of the answer, an
-- outcome) gets a refine_v2 beside it, and this one stays for a release: see postgres/release.py; tests/released holds it.
--
-- Plans are made when tables may be empty and are kept while they grow to millions: only indexes will do.
create or replace function refinery.refine(requests jsonb, contexts jsonb[], schemas jsonb[], solutions jsonb[])
returns table (outcome text, answer jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    _position bigint;
    _time timestamptz;
    _chain bytea;
    _row record;
    _outcomes text[] := '{}';
    _answers jsonb[] := '{}';
    _commits jsonb[] := array_fill(null::jsonb, array[jsonb_array_length(requests)]);
begin
    if current_setting('transaction_read_only')::boolean then
        -- A standby cannot say what holds, not even of a replay: it does not know what its primary waits for.
        raise read_only_sql_transaction;
    end if;

    perform pg_advisory_xact_lock(5927000001);

    select r.position, greatest(r.time, clock_timestamp()), r.chain into _position, _time, _chain
    from refinery.refinements r order by r.position desc limit 1;

    for _row in
        select q.request ->> 'request_id' as request_id, r.position,
               encode(r.request_digest, 'hex') = q.request ->> 'request_digest'
                   and (not q.request ? 'authority' or r.principal = q.request ->> 'principal') as same,
               row_number() over (partition by q.request ->> 'request_id' order by q.place) > 1 as again
        from jsonb_array_elements(requests) with ordinality as q (request, place)
        left join lateral (
            select f.position, f.request_digest, f.principal from refinery.refinements f
            where f.request_id = (q.request ->> 'request_id')::uuid limit 1) r on true
        order by q.place
    loop
        _outcomes := _outcomes || case
            when _row.same then 'replayed'
            when _row.position is not null then 'refused'
            when _row.again then 'stale' -- Sent again, it finds what became of the first.
            else 'accepted' end;
        _answers := _answers || case
            when _row.same then jsonb_build_object('position', _row.position)
            when _row.position is not null then refinery.refusal(
                'REQUEST_ID_REUSED', jsonb_build_object('request_id', _row.request_id)) end;
    end loop;

    for _row in
        select j.place, j.outcome, j.answer, requests -> (j.place - 1) as request
        from refinery.judge(requests, _outcomes) j
    loop
        if _row.outcome = 'accepted' then
            _position := _position + 1;
            _chain := refinery.chain(
                _chain, _position, _time, _row.request ->> 'principal', (_row.request ->> 'request_id')::uuid,
                decode(_row.request ->> 'request_digest', 'hex'),
                array(select decode(d, 'hex') from jsonb_array_elements_text(_row.answer -> 'digests') d));
            _row.outcome := 'committed';
            _row.answer := _row.answer || jsonb_build_object(
                'id', refinery.refinement_id((_row.request ->> 'request_id')::uuid), 'position', _position,
                'time', (extract(epoch from _time) * 1000000)::bigint, 'chain', encode(_chain, 'hex'));
            _commits[_row.place] := _row.answer;
        end if;
        _outcomes[_row.place] := _row.outcome;
        _answers[_row.place] := _row.answer;
    end loop;

    if 'committed' = any (_outcomes) then
        perform refinery.record(requests, contexts, schemas, solutions, _commits, _time);
    elsif 'replayed' = any (_outcomes) then
        -- A transaction that wrote nothing would not wait for a synchronous standby; an acknowledged replay must.
        perform pg_logical_emit_message(true, 'refinery', 'replay');
    end if;
    return query select u.outcome, u.answer from unnest(_outcomes, _answers) with ordinality as u (outcome, answer, place)
    order by u.place;
end
$$;
