-- name: refinement_by_id
-- One refinement, by its own id.
select * from refinery.described_refinements where id = $1;

-- name: refinement_by_request_id
-- One refinement, by the UUID that the client chose.
select * from refinery.described_refinements where request_id = $1;

-- name: refinement_by_position
-- One refinement, by its place in the ledger.
select * from refinery.described_refinements where position = $1;

-- name: refinement_by_vibe
-- The refinement that made a Vibe, aliases included.
select r.* from refinery.vibes v join refinery.described_refinements r on r.position = v.position
where v.ref = refinery.canonical_ref($1);

-- name: list_refinements
-- A page in ledger order.
select * from refinery.described_refinements where position > $1 and position <= $2 order by position limit $3;

-- name: list_refinements_by_author
-- A page of one author, in ledger order.
select * from refinery.described_refinements
where author_ref = $4 and position > $1 and position <= $2 order by position limit $3;

-- name: refine
-- The one write: a batch of requests, each answered for itself. $2..$4: contexts, schemas, solutions of all its drafts.
select outcome, answer::text from refinery.refine($1::text::jsonb, $2::jsonb[], $3::jsonb[], $4::jsonb[]);

-- name: forecast
-- What the one write would answer to one request.
select outcome, answer::text from refinery.forecast($1::text::jsonb);

-- name: notify
-- Tells all who listen how far the ledger reaches. Its COMMIT takes a lock that all databases of the server share, so it waits for no standby.
select set_config('synchronous_commit', 'off', true), pg_notify('refinery', $1);
