-- The latest version of an id that a branch sees at a position: its own, else its parent's up to the fork.
-- A branch's own first number follows the inherited ones, so the first line that has one has the highest.
-- The planner would rather sort the few versions that it believes an id to have than go to the end of the index that
-- has them in order; of an id with 100,000 it then reads them all. So it may not sort.
create or replace function refinery.latest(branch text, id text, as_of bigint, out ref text, out revision integer)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_sort = off as $$
declare
    _line text := latest.branch;
    _until bigint := latest.as_of;
    _parent text;
    _fork bigint;
begin
    loop
        select b.ref, b.revision into latest.ref, latest.revision
        from refinery.vibe_branches b
        where b.branch = _line and b.id = latest.id and b.position <= _until
        order by b.position desc, b.revision desc
        limit 1;
        exit when found or _line = 'main';

        select b.parent, b.fork_position into _parent, _fork from refinery.branches b where b.name = _line;
        if not found then
            perform refinery.refuse('BRANCH_NOT_FOUND', jsonb_build_object('branch', latest.branch));
        end if;
        _line := _parent;
        _until := least(_until, _fork);
    end loop;
end
$$;
