-- A refusal as judge() answers it: a reason of the catalogue and its metadata.
create or replace function refinery.refusal(reason text, metadata jsonb) returns jsonb
language sql immutable parallel safe
as $$ select jsonb_build_object('reason', reason, 'metadata', metadata) $$;
