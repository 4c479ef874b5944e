-- The digest of a Vibe, which commits to all that it refers to. Refuses when something referred to is not there.
-- The same bytes are stated in refinery_core/vibe/digests.py.
create or replace function refinery.vibe_digest(
    type text, ref text, branches text[], author_ref text, prototype_ref text,
    target_refs text[], instruction_refs text[], budget_refs text[], schema_pins text[], content_digest bytea)
returns bytea
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _wanted text[] := schema_pins || target_refs || instruction_refs || budget_refs || author_ref || prototype_ref;
    _found bytea;
    _count integer;
    _missing text;
begin
    select count(*), string_agg(refinery.lp(v.ref) || refinery.lp(v.digest), '' order by v.ref)
    into _count, _found
    from refinery.vibes v
    where v.ref = any (_wanted) and v.ref <> vibe_digest.ref;

    if _count <> (select count(distinct w) from unnest(_wanted) w where w <> vibe_digest.ref) then
        select w into _missing from unnest(_wanted) w
        where w is not null and not exists (select from refinery.vibes v where v.ref = w) limit 1;
        perform refinery.refuse('UNKNOWN_REFERENCE', jsonb_build_object('field', 'drafts', 'reference', _missing));
    end if;

    return sha256(
        refinery.lp('refinery:vibe:v1') || refinery.lp(type) || refinery.lp(ref) || refinery.lp(branches)
        || refinery.lp(author_ref)
        || refinery.lp(case when prototype_ref is null then array[]::text[] else array[prototype_ref] end)
        || refinery.lp(target_refs) || refinery.lp(instruction_refs) || refinery.lp(budget_refs)
        || refinery.lp(content_digest) || refinery.u32(_count) || coalesce(_found, ''));
end
$$;
