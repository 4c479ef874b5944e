-- The chain hash of a refinement: it proves the ledger up to here.
create or replace function refinery.chain(
    previous bytea, "position" bigint, "time" timestamptz, principal text, request_id uuid, request_digest bytea, digests bytea[])
returns bytea
language sql immutable parallel safe
as $$ select sha256(
    refinery.lp('refinery:chain:v1') || refinery.lp(previous) || int8send("position")
    || int8send((extract(epoch from "time") * 1000000)::bigint)
    || refinery.lp(principal) || refinery.lp(uuid_send(request_id)) || refinery.lp(request_digest) || refinery.lp(digests)) $$;

-- The chain before position 1: no link of one ledger fits another.
create or replace function refinery.origin(ledger uuid) returns bytea
language sql immutable parallel safe
as $$ select sha256(refinery.lp('refinery:origin:v1') || refinery.lp(uuid_send(ledger))) $$;
