-- The id of the refinement that a request makes: version 8 of RFC 9562, derived from the request_id.
create or replace function refinery.refinement_id(request_id uuid) returns uuid
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    _hash bytea := sha256(refinery.lp('refinery:refinement:v1') || refinery.lp(uuid_send(request_id)));
begin
    _hash := set_byte(_hash, 6, (get_byte(_hash, 6) & 15) | 128);
    _hash := set_byte(_hash, 8, (get_byte(_hash, 8) & 63) | 128);
    return encode(substr(_hash, 1, 16), 'hex')::uuid;
end
$$;
