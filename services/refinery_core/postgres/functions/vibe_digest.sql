-- What the digest of a Vibe says of the Vibes that it refers to: how many, and each, by its bytes, with its digest.
create or replace function refinery.referred(refs text[], digests bytea[]) returns bytea
language sql immutable parallel safe
as $$
select int4send(count(*)::integer)
       || coalesce(string_agg(refinery.lp(r.ref) || refinery.lp(r.digest), '' order by r.ref collate "C"), '')
from (select distinct u.ref, u.digest from unnest(refs, digests) as u (ref, digest)) r
$$;

-- The digest of a Vibe, which commits to all that it refers to. `inputs` is lp() of each of the three lists of refs,
-- `referred` as refinery.referred() makes it. The same bytes are stated in refinery_core/vibe/digests.py.
create or replace function refinery.vibe_digest(
    type text, ref text, branches text[], author_ref text, prototype_ref text, inputs bytea, content_digest bytea, referred bytea)
returns bytea
language sql immutable parallel safe
as $$ select sha256(
    refinery.lp('refinery:vibe:v1') || refinery.lp(type) || refinery.lp(ref) || refinery.lp(branches)
    || refinery.lp(author_ref) || case when prototype_ref is null then int4send(0) else int4send(1) || refinery.lp(prototype_ref) end
    || inputs || refinery.lp(content_digest) || referred) $$;
