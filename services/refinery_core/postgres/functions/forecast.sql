-- What refine() would answer to one request, taken back before it returns.
create or replace function refinery.forecast(request jsonb) returns table (outcome text, answer jsonb)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(5927000001);
    begin
        select refinery.commit_refinement(request, r.position + 1, greatest(r.time, clock_timestamp()), r.chain) into answer
        from refinery.refinements r order by r.position desc limit 1;
        raise sqlstate 'RF003' using message = 'a forecast is taken back', detail = answer::text;
    exception
        when sqlstate 'RF003' then
            get stacked diagnostics answer = pg_exception_detail;
            outcome := 'committed';
        when sqlstate 'RF000' then
            get stacked diagnostics answer = pg_exception_detail;
            outcome := 'refused';
        when sqlstate 'RF001' then
            answer := null;
            outcome := 'stale';
    end;
    return next;
end
$$;
