-- A refinement with the refs of its Vibes, in the order of the drafts; for the services of release 0.2.0.
create or replace view refinery.described_refinements as
select r.id, r.position, r.request_id, r.principal, r.time, r.author_ref, r.target_refs, r.instruction_refs, r.budget_refs,
       array(select v.ref from refinery.vibes v where v.position = r.position order by v.ordinal) as vibe_refs,
       r.chain, r.request_digest
from refinery.refinements r;
