-- The one write. Takes a batch of requests and answers each for itself, in order: 'committed', 'replayed' (the
-- request_id was committed before with the same content), 'refused' (answer: reason and metadata) or 'stale' (pin the
-- schemas again and send the request again). A refusal touches no neighbour.
--
-- One lock for the batch, held through COMMIT, makes the order of positions the order of commits. It is a statement of
-- its own: what follows sees all that was committed before the lock was granted.
--
-- A request: {request_id, request_digest, principal, author, targets, instructions, budgets, pins, drafts}.
--   author, targets …   see pin_inputs.sql
--   pins                [{branch, id, ref}]: floating references of schemas and prototypes, which must still be the latest
--   drafts              [{type, id, branches, expected_revision?, foretold?, prototype_ref?, context?, schema?, solution?,
--                         content_digest}]: schema is pinned; foretold is the ref that other drafts count on
create or replace function refinery.refine(requests jsonb) returns table (outcome text, answer jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    _request jsonb;
    _position bigint;
    _time timestamptz;
    _chain bytea;
    _digest bytea;
    _first bigint;
    _committed boolean := false;
    _replayed boolean := false;
begin
    perform pg_advisory_xact_lock(5927000001);

    select r.position, greatest(r.time, clock_timestamp()), r.chain into _position, _time, _chain
    from refinery.refinements r order by r.position desc limit 1;

    for _request in select value from jsonb_array_elements(requests) loop
        select r.request_digest, r.position into _digest, _first
        from refinery.refinements r where r.request_id = (_request ->> 'request_id')::uuid;
        if not found then
            begin
                answer := refinery.commit_refinement(_request, _position + 1, _time, _chain);
                outcome := 'committed';
                _committed := true;
                _position := _position + 1;
                _chain := decode(answer ->> 'chain', 'hex');
            exception
                when sqlstate 'RF000' then
                    get stacked diagnostics answer = pg_exception_detail;
                    outcome := 'refused';
                when sqlstate 'RF001' then
                    answer := null;
                    outcome := 'stale';
            end;
        elsif _digest = decode(_request ->> 'request_digest', 'hex') then
            answer := jsonb_build_object('position', _first);
            outcome := 'replayed';
            _replayed := true;
        else
            answer := jsonb_build_object(
                'reason', 'REQUEST_ID_REUSED', 'metadata', jsonb_build_object('request_id', _request ->> 'request_id'));
            outcome := 'refused';
        end if;
        return next;
    end loop;

    if _committed then
        perform pg_notify('refinery', _position::text);
    elsif _replayed then
        -- A transaction that wrote nothing would not wait for a synchronous standby; an acknowledged replay must.
        perform pg_logical_emit_message(true, 'refinery', 'replay');
    end if;
end
$$;
