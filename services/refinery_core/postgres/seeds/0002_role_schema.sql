-- The schema that every Role's solution satisfies, as a Vibe.
-- Its content digest is that of the canonical text beside it, which SQL cannot make; `refinery verify` checks it.
do $$
declare
    _genesis constant text := 'main@system/genesis?1';
    _ref constant text := 'main@system/schemas/role?1';
    _request constant uuid := '00000000-0000-8000-8000-000000000002';
    _request_digest constant bytea := sha256(convert_to('refinery:role-schema:v1', 'UTF8'));
    _schema constant text := '{"$defs":{"patterns":{"description":"Exact names, names under a prefix (orders/**), or all (**).","items":{"maxLength":512,"pattern":"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*(/\\*\\*)?|\\*\\*)$","type":"string"},"maxItems":32,"minItems":1,"type":"array","uniqueItems":true}},"$schema":"https://json-schema.org/draft/2020-12/schema","description":"Who holds a Role, and what it may do. What no rule allows is denied.","properties":{"may":{"items":{"additionalProperties":false,"properties":{"branches":{"$ref":"#/$defs/patterns"},"do":{"items":{"enum":["read","refine","branch","execute","signal","stop","call","carry-out","erase"]},"minItems":1,"type":"array","uniqueItems":true},"ids":{"$ref":"#/$defs/patterns"},"types":{"items":{"enum":["RECORD","ROLE","PROCESS","CAPABILITY"]},"minItems":1,"type":"array","uniqueItems":true}},"required":["do"],"type":"object"},"maxItems":64,"type":"array"},"members":{"description":"Principals and groups. A trailing * stands for whatever goes on there; * alone for everybody who was authenticated.","items":{"maxLength":512,"pattern":"^(\\*|(spiffe://|x509:|jwt:|group:)[^*]*\\*?)$","type":"string"},"maxItems":1000,"type":"array","uniqueItems":true},"title":{"type":"string"}},"title":"Role","type":"object"}';
    _content constant bytea := sha256(convert_to('{"schema":' || _schema || '}', 'UTF8'));
    _no_inputs constant bytea := refinery.lp('{}'::text[]) || refinery.lp('{}'::text[]) || refinery.lp('{}'::text[]);
    _digest bytea;
    _last record;
    _time timestamptz;
begin
    perform pg_advisory_xact_lock(5927000001); -- As refine() does: another release may be serving.
    select r.position, r.time, r.chain into strict _last from refinery.refinements r order by r.position desc limit 1;
    _time := greatest(_last.time, clock_timestamp());
    select refinery.vibe_digest(
        'RECORD', _ref, '{main}', _genesis, null, _no_inputs, _content, refinery.referred(array[_genesis], array[g.digest]))
    into strict _digest from refinery.vibes g where g.ref = _genesis;

    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    values (
        refinery.refinement_id(_request), _last.position + 1, _request, _request_digest, 'migration', _time, _genesis, '{}', '{}',
        '{}', refinery.chain(_last.chain, _last.position + 1, _time, 'migration', _request, _request_digest, array[_digest]));
    insert into refinery.vibes (
        ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, schema, content_digest, digest)
    values (
        _ref, 'system/schemas/role', '{main}', 1, 'RECORD', _genesis, refinery.refinement_id(_request), _last.position + 1, 0,
        _schema::jsonb, _content, _digest);
end
$$;
