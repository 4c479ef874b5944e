-- A refinement with the refs of its Vibes, in the order of the drafts, and by what right it was made.
create or replace view refinery.judged_refinements as
select r.id, r.position, r.request_id, r.principal, r.time, r.author_ref, r.target_refs, r.instruction_refs, r.budget_refs,
       array(select v.ref from refinery.vibes v where v.position = r.position order by v.ordinal) as vibe_refs,
       r.chain, r.request_digest, r.held_as, r.behalf_ref
from refinery.refinements r;
