-- Fills what follows from a Vibe: schema_refs, the index of its branches, and the branch that it may record.
create or replace function refinery.fill_schema_refs() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.schema_refs := case when new.schema is null then '{}' else
        array(select distinct p.written from refinery.schema_pins(new.schema) p order by 1) end;
    return new;
end
$$;
create or replace trigger fill_schema_refs before insert on refinery.vibes
for each row execute function refinery.fill_schema_refs();

create or replace function refinery.fill_vibe_branches() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.vibe_branches (branch, id, revision, position, ordinal, ref)
    select b, new.id, new.revision, new.position, new.ordinal, new.ref from unnest(new.branches) b;
    return null;
end
$$;
create or replace trigger fill_vibe_branches after insert on refinery.vibes
for each row execute function refinery.fill_vibe_branches();

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
