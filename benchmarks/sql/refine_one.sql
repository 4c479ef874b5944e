-- pgbench: the ledger's own SQL, one refine of a RECORD of 200 bytes in a transaction.
select outcome from refinery.refine(jsonb_build_array(jsonb_build_object(
    'request_id', gen_random_uuid(), 'request_digest', repeat('00', 32), 'principal', 'anonymous',
    'author', 'main@system/genesis?1', 'targets', '[]'::jsonb, 'instructions', '[]'::jsonb, 'budgets', '[]'::jsonb,
    'pins', '[]'::jsonb, 'drafts', jsonb_build_array(jsonb_build_object(
        'type', 'RECORD', 'id', 'bench/' || gen_random_uuid(), 'branches', '["main"]'::jsonb,
        'content_digest', encode(sha256(convert_to('{"solution":{"text":"' || repeat('x', 186) || '"}}', 'UTF8')), 'hex'))))), '{null}', '{null}',
    array[jsonb_build_object('text', repeat('x', 186))]);
