-- Fills the edges of a refinement's Vibes. The refinement is inserted last, so that its Vibes and inputs are known.
create or replace function refinery.fill_vibe_refs() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.vibe_refs (
        from_ref, to_ref, type, floating, position, branch, from_id, from_revision, to_id, to_revision)
    select v.ref, e.ref, e.type, e.floating, v.position, v.branches[1], v.id, v.revision,
           split_part(split_part(e.ref, '@', 2), '?', 1), split_part(e.ref, '?', 2)::integer
    from refinery.vibes v,
         lateral (
             select v.author_ref, 'author', false
             union select v.prototype_ref, 'prototype', false where v.prototype_ref is not null
             union select t, 'target', false from unnest(new.target_refs) t
             union select i, 'instruction', false from unnest(new.instruction_refs) i
             union select b, 'budget', false from unnest(new.budget_refs) b
             union select p.ref, 'schema', bool_or(p.floating) from refinery.schema_pins(v.schema) p group by p.ref
         ) as e (ref, type, floating)
    where v.refinement_id = new.id;
    return null;
end
$$;
create or replace trigger fill_vibe_refs after insert on refinery.refinements
for each row execute function refinery.fill_vibe_refs();
