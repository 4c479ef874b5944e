-- The ref of the Vibe that a canonical name means: the name itself, or an alias by another branch of the same Vibe.
create or replace function refinery.canonical_ref(name text) returns text
language sql stable
as $$ select coalesce(
    (select v.ref from refinery.vibes v where v.ref = name),
    (select b.ref from refinery.vibe_branches b
     where b.branch = split_part(name, '@', 1)
       and b.id = split_part(split_part(name, '@', 2), '?', 1)
       and b.revision = split_part(name, '?', 2)::integer)) $$;
