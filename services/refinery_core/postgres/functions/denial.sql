-- The refusal of a request for want of a right. Where no draft is to blame more than others, it names the first.
create or replace function refinery.denial(request jsonb, verb text, id text, branch text, role text, problem text)
returns jsonb
language sql immutable parallel safe
as $$
select refinery.refusal('PERMISSION_DENIED', jsonb_build_object(
    'principal', request -> 'authority' -> 'names' ->> 0, 'verb', verb,
    'id', coalesce(id, request -> 'drafts' -> 0 ->> 'id'), 'branch', coalesce(branch, request -> 'drafts' -> 0 -> 'branches' ->> 0),
    'role', role, 'problem', problem))
$$;
