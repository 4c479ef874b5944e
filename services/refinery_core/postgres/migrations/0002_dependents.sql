-- The schemas that refer to a Vibe, by ref: a page of a million begins where the last one ended.

create index vibe_refs_dependents on refinery.vibe_refs (to_ref, from_ref) include (floating, position)
where type = 'schema';
