-- name: refinement_by_id
-- One refinement, by its own id.
select * from refinery.judged_refinements where id = $1;

-- name: refinement_by_request_id
-- One refinement, by the UUID that the client chose.
select * from refinery.judged_refinements where request_id = $1;

-- name: refinement_by_position
-- One refinement, by its place in the ledger.
select * from refinery.judged_refinements where position = $1;

-- name: refinement_by_vibe
-- The refinement that made a Vibe, aliases included.
select r.*
from (select v.position from refinery.vibes v where v.ref = refinery.canonical_ref($1) limit 1) v,
     lateral (select * from refinery.judged_refinements r where r.position = v.position limit 1) r;

-- name: refinements_at
-- The refinements at some positions, in ledger order.
select r.*
from unnest($1::bigint[]) as p (position),
     lateral (select * from refinery.judged_refinements r where r.position = p.position limit 1) r
order by p.position;

-- name: list_refinements
-- In ledger order, as far as there are so many. $1 last position, $2 size, $3 until.
select p.position as at, r.*
from (
    select c.position from refinery.refinements c where c.position > $1 order by c.position limit $2) p,
lateral (select * from refinery.judged_refinements r where r.position = p.position limit 1) r
where p.position <= $3
order by p.position;

-- name: list_refinements_by_author
-- As list_refinements, of one author, $4.
select p.position as at, r.*
from (
    select c.position from refinery.refinements c
    where c.author_ref <= $4 and (c.author_ref, c.position) > ($4, $1)
    order by c.author_ref, c.position limit $2) p,
lateral (select * from refinery.judged_refinements r where r.position = p.position limit 1) r
where p.position <= $3
order by p.position;

-- name: refine
-- The one write: a batch of requests, each answered for itself. $2..$4: contexts, schemas, solutions of all its drafts.
-- $5..$6: a position that was seen, and its chain; where they are not here, this is the wrong database: no row, and nothing
-- is written.
with here as materialized (
    select true as known
    where $5::bigint is null
       or exists (select from refinery.refinements r where r.position = $5::bigint and r.chain = $6::bytea)
)
select f.outcome, f.answer::text
from here h, lateral refinery.refine(case when h.known then $1::text::jsonb end, $2::jsonb[], $3::jsonb[], $4::jsonb[]) f;

-- name: forecast
-- What the one write would answer to one request.
select outcome, answer::text from refinery.forecast($1::text::jsonb);

-- name: ahead
-- How many seconds the last refinement is later than the clock of the server.
select extract(epoch from r.time - clock_timestamp())::float8 as seconds
from refinery.refinements r order by r.position desc limit 1;

-- name: notify
-- Tells all who listen how far the ledger reaches. Its COMMIT takes a lock that all databases of the server share, so it waits for no standby.
select set_config('synchronous_commit', 'off', true), pg_notify('refinery', $1);
