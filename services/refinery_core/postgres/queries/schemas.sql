-- name: resolve_vibe_schema
-- The schema of a stored Vibe with its references' schemas embedded.
select refinery.resolve_vibe_schema($1)::text as schema;

-- name: embed_schema
-- A pinned schema with its references' schemas embedded; $2 schemas by ref that are not stored.
select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text as schema;

-- name: composing_schemas
-- The schemas of some Vibes, and of all that those are composed from. $1 refs, $2 refs that are at hand, $3 bytes after which
-- no more are read.
with recursive reached (ref) as (
    select r collate "C" from unnest($1::text[]) r
    union
    select e.to_ref
    from reached r,
         lateral (select x.to_ref from refinery.vibe_refs x where x.from_ref = r.ref and x.type = 'schema' offset 0) e
    where e.to_ref <> all ($2::text[])
), sized (ref, schema, before) as (
    select v.ref, v.schema, sum(octet_length(v.schema::text)) over (rows between unbounded preceding and 1 preceding)
    from reached r, lateral (select w.ref, w.schema from refinery.vibes w where w.ref = r.ref limit 1) v
)
select s.ref, s.schema::text from sized s where coalesce(s.before, 0) <= $3;
