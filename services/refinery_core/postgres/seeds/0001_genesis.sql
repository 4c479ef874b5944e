-- Position 1: the Role that is its own author, `main`, and what a process may call of the ledger itself, as Capability
-- Vibes. Every other Role is refined by somebody. The content digests are those of the canonical texts beside them, which
-- SQL cannot make; `refinery verify` checks them.
do $$
declare
    _genesis constant text := 'main@system/genesis?1';
    _request constant uuid := '00000000-0000-8000-8000-000000000001';
    _request_digest constant bytea := sha256(convert_to('refinery:genesis:v1', 'UTF8'));
    _solution constant text := '{"title":"Genesis: the first Role, its own author"}';
    _content constant bytea := sha256(convert_to('{"solution":' || _solution || '}', 'UTF8'));
    _no_inputs constant bytea := refinery.lp('{}'::text[]) || refinery.lp('{}'::text[]) || refinery.lp('{}'::text[]);
    _digest constant bytea := refinery.vibe_digest(
        'ROLE', _genesis, '{main}', _genesis, null, _no_inputs, _content, refinery.referred('{}', '{}'));
    _time constant timestamptz := clock_timestamp();
    _made jsonb;
begin
    insert into refinery.branches (name) values ('main');

    select jsonb_agg(m.vibe order by m.place) into _made
    from (
        select 0, jsonb_build_object(
            'ref', _genesis, 'id', 'system/genesis', 'type', 'ROLE', 'solution', _solution, 'content', encode(_content, 'hex'),
            'digest', encode(_digest, 'hex'))
        union all
        select row_number() over (order by c.name), jsonb_build_object(
            'ref', 'main@system/capabilities/' || c.name || '?1', 'id', 'system/capabilities/' || c.name,
            'type', 'CAPABILITY', 'solution', c.solution, 'content', c.content, 'digest', encode(refinery.vibe_digest(
                'CAPABILITY', 'main@system/capabilities/' || c.name || '?1', '{main}', _genesis, null, _no_inputs,
                decode(c.content, 'hex'), refinery.referred(array[_genesis], array[_digest])), 'hex'))
        from (values
        ('get-vibe', '{"call":"python","input":{"schema":{"document":{"additionalProperties":false,"properties":{"branch":{"type":"string"},"reference":{"type":"string"}},"required":["reference"],"type":"object"}}},"metadata":{"title":"Reads a Vibe"},"with":{"function":"refinery.get_vibe"}}',
         'c80dd0cc24619da44f147b35db06858603668fab9dcf8cbadd70f03054cd0fbe'),
        ('refine', '{"call":"python","input":{"schema":{"document":{"additionalProperties":false,"properties":{"branch":{"type":"string"},"budget_refs":{"items":{"type":"string"},"type":"array"},"drafts":{"items":{"required":["type","id"],"type":"object"},"minItems":1,"type":"array"},"instruction_refs":{"items":{"type":"string"},"type":"array"},"target_refs":{"items":{"type":"string"},"type":"array"}},"required":["drafts"],"type":"object"}}},"metadata":{"title":"Commits Vibes on behalf of the execution"},"with":{"function":"refinery.refine"}}',
         'eee304a14f716c9d179ff6262c709c6ec434dbaf3b391fc6ff5c2f61df3605fa'),
        ('resolve-schema', '{"call":"python","input":{"schema":{"document":{"additionalProperties":false,"properties":{"branch":{"type":"string"},"form":{"enum":["pinned","embedded","bundled"]},"reference":{"type":"string"}},"required":["reference"],"type":"object"}}},"metadata":{"title":"Composes the schema of a Vibe"},"with":{"function":"refinery.resolve_schema"}}',
         'fe6b8c6e14b232f8aedd038cbfc902162307662f504627f9bcc013aec414951b'),
        ('trace-lineage', '{"call":"python","input":{"schema":{"document":{"additionalProperties":false,"properties":{"branch":{"type":"string"},"direction":{"enum":["up","down"]},"edge_types":{"items":{"enum":["schema","author","target","instruction","budget","prototype"]},"type":"array"},"max_depth":{"minimum":1,"type":"integer"},"max_vibes":{"minimum":1,"type":"integer"},"reference":{"type":"string"}},"required":["reference"],"type":"object"}}},"metadata":{"title":"Walks the edges of a Vibe"},"with":{"function":"refinery.trace_lineage"}}',
         'a7d1b66cdd75be2956a821538162aa2218b9853c6f7505ecd257f6d4c829138f')
        ) as c (name, solution, content)
    ) as m (place, vibe);

    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    values (
        refinery.refinement_id(_request), 1, _request, _request_digest, 'migration', _time, _genesis, '{}', '{}', '{}',
        refinery.chain((select refinery.origin(l.id) from refinery.ledger l), 1, _time, 'migration', _request, _request_digest,
            array(select decode(v ->> 'digest', 'hex') from jsonb_array_elements(_made) with ordinality as m (v, place)
                  order by place)));

    insert into refinery.vibes (
        ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, solution, content_digest, digest)
    select v ->> 'ref', v ->> 'id', '{main}', 1, v ->> 'type', _genesis, refinery.refinement_id(_request), 1, place - 1,
           (v ->> 'solution')::jsonb, decode(v ->> 'content', 'hex'), decode(v ->> 'digest', 'hex')
    from jsonb_array_elements(_made) with ordinality as m (v, place);
end
$$;
