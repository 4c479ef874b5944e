-- name: bundle_schema
-- A pinned schema as a compound document; $2 the ref it is known by, if any, $3 schemas by ref that are not stored.
select refinery.bundle_schema($1::text::jsonb, $2, $3::text::jsonb)::text as schema;

-- name: embed_schema
-- A pinned schema with its references' schemas embedded; $3 schemas by ref that are not stored.
select refinery.embed_schema($1::text::jsonb, $3::text::jsonb)::text as schema, $2::text as root;

-- name: schema_dependencies
-- The refs of all Vibes that a pinned schema is composed from, sorted; $2 schemas by ref that are not stored.
select refinery.schema_dependencies($1::text::jsonb, $2::text::jsonb) as refs;
