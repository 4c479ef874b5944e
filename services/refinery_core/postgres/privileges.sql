-- Immutability is the absence of a grant: the services may look and add, nothing else.
grant usage on schema refinery to refinery_app, refinery_reader;
grant select, insert on refinery.refinements, refinery.vibes, refinery.vibe_refs, refinery.branches, refinery.vibe_branches,
    refinery.role_members, refinery.role_rules, refinery.denials to refinery_app;
grant select on all tables in schema refinery to refinery_app, refinery_reader;
revoke execute on all functions in schema refinery from public;
grant execute on all functions in schema refinery to refinery_app, refinery_reader;
revoke execute on function refinery.refine(jsonb, jsonb[], jsonb[], jsonb[]),
    refinery.record(jsonb, jsonb[], jsonb[], jsonb[], jsonb[], timestamptz) from refinery_reader;
