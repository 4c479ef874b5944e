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

-- The same for the first seed, which was written when this took maps: `vibes` is from refs to [ref, type, digest].
create or replace function refinery.vibe_digest(
    type text, ref text, branches text[], author_ref text, prototype_ref text,
    target_refs text[], instruction_refs text[], budget_refs text[], schema_pins text[], content_digest text, vibes jsonb)
returns text
language sql immutable parallel safe
as $$ select encode(refinery.vibe_digest(
    type, ref, branches, author_ref, prototype_ref,
    refinery.lp(target_refs) || refinery.lp(instruction_refs) || refinery.lp(budget_refs), decode(content_digest, 'hex'),
    (select refinery.referred(array_agg(r.name), array_agg(decode(vibes -> r.name ->> 2, 'hex')))
     from unnest(schema_pins || target_refs || instruction_refs || budget_refs || author_ref || prototype_ref) as r (name)
     where r.name is not null and r.name <> vibe_digest.ref)), 'hex') $$;
