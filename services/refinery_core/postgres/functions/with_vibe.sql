-- What is known once a Vibe is accepted that others of the batch name too.
create or replace function refinery.with_vibe(
    known refinery.known, id text, branches text[], type jsonb, ref text, revision integer, digest text)
returns refinery.known
language sql immutable parallel safe
as $$ select row(
    known.heads || (select jsonb_object_agg(b || ' ' || id, jsonb_build_array(ref, revision)) from unnest(branches) b),
    known.vibes || jsonb_build_object(ref, jsonb_build_array(ref, type, digest)),
    known.types || jsonb_build_object(id, type),
    known.busy)::refinery.known $$;
