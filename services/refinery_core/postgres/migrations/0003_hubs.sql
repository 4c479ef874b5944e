-- Of an id that a million schemas refer to, a page is a stretch of an index, in the order in which it is asked for.

drop index refinery.vibe_refs_to_id;
create index vibe_refs_to_id on refinery.vibe_refs (to_id, position, from_ref, to_ref) where type = 'schema';

-- Only a query that says "to_revision > 0" uses this one, so that no other takes it and sorts what it gives.
create index vibe_refs_dependents_of_id on refinery.vibe_refs (to_id, from_ref) include (to_ref, to_revision, floating, position)
where type = 'schema' and to_revision > 0;
