-- Position 1: the Role that is its own author, and `main`. Every other Role is refined by somebody.
do $$
declare
    _ref constant text := 'main@system/genesis?1';
    _request constant uuid := '00000000-0000-8000-8000-000000000001';
    _solution constant text := '{"title":"Genesis: the first Role, its own author"}';
    _content bytea := sha256(convert_to('{"solution":' || _solution || '}', 'UTF8'));
    _digest bytea := decode(refinery.vibe_digest(
        'ROLE', _ref, '{main}', _ref, null, '{}', '{}', '{}', '{}', encode(_content, 'hex'), '{}'), 'hex');
    _request_digest bytea := sha256(convert_to('refinery:genesis:v1', 'UTF8'));
    _time timestamptz := clock_timestamp();
begin
    insert into refinery.branches (name) values ('main');
    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    values (
        refinery.refinement_id(_request), 1, _request, _request_digest, 'migration', _time, _ref, '{}', '{}', '{}',
        refinery.chain(decode(repeat('00', 32), 'hex'), 1, _time, 'migration', _request, _request_digest, array[_digest]));
    insert into refinery.vibes (
        ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, solution, content_digest, digest)
    values (
        _ref, 'system/genesis', '{main}', 1, 'ROLE', _ref, refinery.refinement_id(_request), 1, 0,
        _solution::jsonb, _content, _digest);
end
$$;
