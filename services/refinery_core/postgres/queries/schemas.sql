-- name: resolved_schema
-- The schema of a Vibe, $1 by ref or alias, and the refs of all that it is composed from; $2 embedded. No row: no Vibe.
-- The pinned form is left out where the embedded one is asked for and the schema refers to nothing.
with recursive asked (ref) as materialized (
    select refinery.canonical_ref($1) collate "C"
), reached (ref) as (
    select a.ref from asked a
    union
    select e.to_ref
    from reached r,
         lateral (select x.to_ref from refinery.vibe_refs x where x.from_ref = r.ref and x.type = 'schema' offset 0) e
)
select v.ref,
       case when not $2 or v.schema_refs <> '{}' then v.schema::text end as pinned,
       case when $2 then refinery.resolve_vibe_schema(v.ref)::text end as embedded,
       array(select r.ref from reached r where r.ref <> v.ref order by r.ref) as dependencies
from asked a, lateral (select w.ref, w.schema, w.schema_refs from refinery.vibes w where w.ref = a.ref limit 1) v;

-- name: embed_schema
-- A pinned schema with its references' schemas embedded; $2 schemas by ref that are not stored.
select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text as schema;

-- name: composing_schemas
-- The schemas of some Vibes, asked for by ref or alias, and of all that those are composed from. $1 names, $2 refs that are
-- at hand, $3 bytes after which no more are read.
with recursive asked (ref) as materialized (
    select refinery.canonical_ref(n) collate "C" from unnest($1::text[]) n
), reached (ref) as (
    select a.ref from asked a
    union
    select e.to_ref
    from reached r,
         lateral (select x.to_ref from refinery.vibe_refs x where x.from_ref = r.ref and x.type = 'schema' offset 0) e
    where e.to_ref <> all ($2::text[])
), sized (ref, schema, before) as (
    select v.ref, v.schema, sum(octet_length(v.schema::text)) over (rows between unbounded preceding and 1 preceding)
    from reached r, lateral (select w.ref, w.schema from refinery.vibes w where w.ref = r.ref limit 1) v
)
select s.ref, s.schema::text, s.ref in (select a.ref from asked a) as asked from sized s where coalesce(s.before, 0) <= $3;
