-- refine() keeps what it knows of a batch in arrays, which it can change in place: judging a batch takes time in
-- proportion to its drafts, also where each refers to the one before.

drop type refinery.known cascade;
drop function if exists refinery.refine(jsonb), refinery.record(jsonb, integer[], jsonb[], timestamptz),
    refinery.forecast(jsonb), refinery.pin_inputs(jsonb, jsonb, jsonb), refinery.missing_reference(jsonb, integer, jsonb),
    refinery.missing_input(jsonb, text, text[], text[], text[]),
    refinery.refused_draft(jsonb, text[], integer, integer, jsonb, jsonb), refinery.u32(bigint);

-- Bundling is done in Python.
drop function if exists refinery.bundle_schema(jsonb, text, jsonb), refinery.bundle_vibe_schema(text),
    refinery.bundled(jsonb, text, text[]), refinery.bundled_id(text, text),
    refinery.bundled_object(jsonb, text, text, text, jsonb, text[]), refinery.bundled_target(text, text, text[]),
    refinery.compose_part(jsonb, text, text, text, jsonb, jsonb, text[]), refinery.own_names(jsonb, boolean),
    refinery.schema_dependencies(jsonb, jsonb);

create type refinery.known as (
    slots jsonb, refs text[], revisions integer[], types text[], digests bytea[], awaited jsonb);
comment on type refinery.known is 'What refine() knows of the ledger while it judges a batch; see functions/look_up.sql.';
