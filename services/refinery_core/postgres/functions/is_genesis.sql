-- Whether a Role is the first one, which may do everything and is held by the principals of REFINERY_ROOT alone.
create or replace function refinery.is_genesis(role text) returns boolean
language sql immutable parallel safe
as $$ select starts_with(role, 'main@system/genesis?') $$;
