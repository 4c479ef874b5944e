-- What refine() would answer to one request now. It writes nothing, and another may commit first.
create or replace function refinery.forecast(request jsonb) returns table (outcome text, answer jsonb)
language sql stable
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
select case j.outcome when 'accepted' then 'committed' else j.outcome end,
       case j.outcome when 'accepted' then j.answer || jsonb_build_object(
           'id', refinery.refinement_id((request ->> 'request_id')::uuid), 'position', 0, 'chain', '',
           'time', (extract(epoch from clock_timestamp()) * 1000000)::bigint) else j.answer end
from refinery.judge(jsonb_build_array(request), '{accepted}') j
$$;
