-- The refusal of a request for want of a right; what plays no part is ''.
create or replace function refinery.denial(request jsonb, verb text, id text, branch text, role text, problem text)
returns jsonb
language sql immutable parallel safe
as $$
select refinery.refusal('PERMISSION_DENIED', jsonb_build_object(
    'principal', request -> 'authority' -> 'names' ->> 0, 'verb', verb, 'id', coalesce(id, ''), 'branch', coalesce(branch, ''),
    'role', role, 'problem', problem))
$$;
