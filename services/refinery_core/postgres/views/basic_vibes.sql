-- A Vibe without its documents, with the time of its refinement.
create or replace view refinery.basic_vibes as
select v.ref, v.id, v.branches, v.revision, v.type, v.author_ref, v.prototype_ref, v.refinement_id, v.position, r.time,
       v.content_digest, v.digest, v.schema_refs, v.ordinal
from refinery.vibes v join refinery.refinements r on r.position = v.position;
