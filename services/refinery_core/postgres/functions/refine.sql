-- The one write. Takes a batch of requests and answers each for itself, in order: 'committed', 'replayed' (the
-- request_id was committed before with the same content), 'refused' (answer: reason and metadata) or 'stale' (pin the
-- schemas again and send the request again). A refusal touches no neighbour.
--
-- One lock for the batch, held through COMMIT, makes the order of positions the order of commits. It is a statement of
-- its own: what follows sees all that was committed before the lock was granted. Then: look up everything at once,
-- judge one request after the other in memory, insert everything at once.
--
-- A request: {request_id, request_digest, principal, author, targets, instructions, budgets, pins, drafts}.
--   author, targets …   see pin_inputs.sql
--   pins                [{branch, id, ref}]: floating references of schemas and prototypes, which must still be the latest
--   drafts              [{type, id, branches, expected_revision?, foretold?, prototype_ref?, context?, schema?, solution?,
--                         content_digest}]: schema is pinned; foretold is the ref that other drafts count on
--
-- Plans are made when tables may be empty and are kept while they grow to millions: only indexes will do.
create or replace function refinery.refine(requests jsonb) returns table (outcome text, answer jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    _position bigint;
    _time timestamptz;
    _chain bytea;
    _known refinery.known;
    _row record;
    _commits jsonb := '{}';
    _places integer[] := '{}';
    _answers jsonb[] := '{}';
    _replayed boolean := false;
begin
    perform pg_advisory_xact_lock(5927000001);

    select r.position, greatest(r.time, clock_timestamp()), r.chain into _position, _time, _chain
    from refinery.refinements r order by r.position desc limit 1;
    _known := refinery.look_up(requests);

    for _row in
        select q.request, q.place::integer - 1 as place, r.position, encode(r.request_digest, 'hex') as digest
        from jsonb_array_elements(requests) with ordinality as q (request, place)
        left join lateral (
            select f.position, f.request_digest from refinery.refinements f
            where f.request_id = (q.request ->> 'request_id')::uuid limit 1) r on true
        order by q.place
    loop
        if _row.position is null and _commits ? (_row.request ->> 'request_id') then
            _row.position := (_commits -> (_row.request ->> 'request_id') ->> 0)::bigint;
            _row.digest := _commits -> (_row.request ->> 'request_id') ->> 1;
        end if;

        if _row.position is not null and _row.digest = _row.request ->> 'request_digest' then
            outcome := 'replayed';
            answer := jsonb_build_object('position', _row.position);
            _replayed := true;
        elsif _row.position is not null then
            outcome := 'refused';
            answer := refinery.refusal(
                'REQUEST_ID_REUSED', jsonb_build_object('request_id', _row.request ->> 'request_id'));
        else
            select j.outcome, j.answer into outcome, answer from refinery.judge(_row.request, _known) j;
            if outcome = 'accepted' then
                _position := _position + 1;
                _chain := refinery.chain(
                    _chain, _position, _time, _row.request ->> 'principal', (_row.request ->> 'request_id')::uuid,
                    decode(_row.request ->> 'request_digest', 'hex'),
                    array(select decode(d, 'hex') from jsonb_array_elements_text(answer -> 'digests') d));
                outcome := 'committed';
                answer := answer || jsonb_build_object(
                    'id', refinery.refinement_id((_row.request ->> 'request_id')::uuid), 'position', _position,
                    'time', (extract(epoch from _time) * 1000000)::bigint, 'chain', encode(_chain, 'hex'));
                _commits := _commits || jsonb_build_object(
                    _row.request ->> 'request_id', jsonb_build_array(_position, _row.request -> 'request_digest'));
                _places := _places || _row.place;
                _answers := _answers || answer;
                _known := refinery.with_busy_vibes(_known, _row.request -> 'drafts', answer);
            end if;
        end if;
        return next;
    end loop;

    if _places <> '{}' then
        perform refinery.record(requests, _places, _answers, _time);
        perform pg_notify('refinery', _position::text);
    elsif _replayed then
        -- A transaction that wrote nothing would not wait for a synchronous standby; an acknowledged replay must.
        perform pg_logical_emit_message(true, 'refinery', 'replay');
    end if;
end
$$;
