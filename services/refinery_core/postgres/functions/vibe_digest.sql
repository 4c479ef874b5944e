-- The digest of a Vibe, which commits to all that it refers to, as hexadecimal. `vibes` maps refs to [ref, type, digest];
-- NULL when something referred to is not in it. The same bytes are stated in refinery_core/vibe/digests.py.
create or replace function refinery.vibe_digest(
    type text, ref text, branches text[], author_ref text, prototype_ref text,
    target_refs text[], instruction_refs text[], budget_refs text[], schema_pins text[], content_digest text, vibes jsonb)
returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _count integer;
    _found bytea;
    _missing boolean;
begin
    select count(*), string_agg(refinery.lp(r.name) || refinery.lp(decode(r.digest, 'hex')), '' order by r.name collate "C"),
           bool_or(r.digest is null)
    into _count, _found, _missing
    from (
        select distinct w.name, vibes -> w.name ->> 2
        from unnest(schema_pins || target_refs || instruction_refs || budget_refs || author_ref || prototype_ref) as w (name)
        where w.name is not null and w.name <> vibe_digest.ref
    ) as r (name, digest);
    if _missing then
        return null;
    end if;
    return encode(sha256(
        refinery.lp('refinery:vibe:v1') || refinery.lp(type) || refinery.lp(ref) || refinery.lp(branches)
        || refinery.lp(author_ref)
        || refinery.lp(case when prototype_ref is null then array[]::text[] else array[prototype_ref] end)
        || refinery.lp(target_refs) || refinery.lp(instruction_refs) || refinery.lp(budget_refs)
        || refinery.lp(decode(content_digest, 'hex')) || refinery.u32(_count) || coalesce(_found, '')), 'hex');
end
$$;
