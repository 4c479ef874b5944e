-- Fills the ledger with RECORDs $1 + 1 … $2 as refine() would have left them, but for digests, which are made up:
-- the measured calls look at indexes and rows, not at what the digests stand for.
with positions as (select n, n as position from generate_series($1::bigint + 1, $2::bigint) n),
made as (
    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    select gen_random_uuid(), position, gen_random_uuid(), sha256(int8send(n)), 'anonymous', clock_timestamp(),
           'main@system/genesis?1', '{}', '{}', '{}', sha256(int8send(-n))
    from positions
    returning id, position
)
insert into refinery.vibes (
    ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, solution, content_digest, digest)
select format('main@fill/%s?1', position), 'fill/' || position, '{main}', 1, 'RECORD', 'main@system/genesis?1', id, position, 0,
       jsonb_build_object('text', repeat('x', 186)), sha256(int8send(position)), sha256(int8send(position) || 'v')
from made;
