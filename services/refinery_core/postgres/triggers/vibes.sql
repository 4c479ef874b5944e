-- Fills what follows from Vibes: schema_refs, the index of branches, the branches that they record, and their edges.
create or replace function refinery.fill_schema_refs() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.schema_refs := array(select distinct p.written collate "C" from refinery.schema_pins(new.schema) p order by 1);
    return new;
end
$$;
create or replace trigger fill_schema_refs before insert on refinery.vibes
for each row when (new.schema is not null or new.schema_refs <> '{}') execute function refinery.fill_schema_refs();

create or replace function refinery.fill_vibe_branches() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.vibe_branches (branch, id, revision, position, ordinal, ref)
    select b, n.id, n.revision, n.position, n.ordinal, n.ref from new_vibes n, unnest(n.branches) b;
    return null;
end
$$;
create or replace trigger fill_vibe_branches after insert on refinery.vibes
referencing new table as new_vibes for each statement execute function refinery.fill_vibe_branches();

create or replace function refinery.fill_branches() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.branches (name, parent, fork_position, ref)
    values (
        substr(new.id, length('system/branches/') + 1), new.solution ->> 'parent',
        (new.solution ->> 'fork_position')::bigint, new.ref);
    return null;
end
$$;
create or replace trigger fill_branches after insert on refinery.vibes
for each row when (starts_with(new.id, 'system/branches/')) execute function refinery.fill_branches();

create or replace function refinery.fill_vibe_refs() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.vibe_refs (
        from_ref, to_ref, type, floating, position, branch, from_id, from_revision, to_id, to_revision)
    select n.ref, e.ref, e.type, e.floating, n.position, n.branches[1], n.id, n.revision,
           split_part(split_part(e.ref, '@', 2), '?', 1), split_part(e.ref, '?', 2)::integer
    from new_vibes n,
         lateral (
             select r.target_refs, r.instruction_refs, r.budget_refs from refinery.refinements r
             where r.position = n.position limit 1) r,
         lateral (
             select n.author_ref, 'author', false
             union all select n.prototype_ref, 'prototype', false where n.prototype_ref is not null
             union select t, 'target', false from unnest(r.target_refs) t
             union select i, 'instruction', false from unnest(r.instruction_refs) i
             union select b, 'budget', false from unnest(r.budget_refs) b
             union all select p.ref, 'schema', bool_or(p.floating) from refinery.schema_pins(n.schema) p group by p.ref
         ) as e (ref, type, floating);
    return null;
end
$$;
create or replace trigger fill_vibe_refs after insert on refinery.vibes
referencing new table as new_vibes for each statement execute function refinery.fill_vibe_refs();
