-- pgbench: the same, 50 refines in one call.
select count(*) from refinery.refine((select jsonb_agg(jsonb_build_object(
    'request_id', gen_random_uuid(), 'request_digest', repeat('00', 32), 'principal', 'anonymous',
    'author', 'main@system/genesis?1', 'targets', '[]'::jsonb, 'instructions', '[]'::jsonb, 'budgets', '[]'::jsonb,
    'pins', '[]'::jsonb, 'drafts', jsonb_build_array(jsonb_build_object(
        'type', 'RECORD', 'id', 'bench/' || gen_random_uuid(), 'branches', '["main"]'::jsonb,
        'content_digest', encode(sha256(convert_to('{"solution":{"text":"' || repeat('x', 186) || '"}}', 'UTF8')), 'hex')))))
    from generate_series(1, 50)), array_fill(null::jsonb, '{50}'), array_fill(null::jsonb, '{50}'),
    array_fill(jsonb_build_object('text', repeat('x', 186)), '{50}'));
