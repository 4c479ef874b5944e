-- The version of an id that has this number on a branch, as seen at a position.
create or replace function refinery.numbered(branch text, id text, revision integer, as_of bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _line text := numbered.branch;
    _until bigint := numbered.as_of;
    _parent text;
    _fork bigint;
    _ref text;
begin
    loop
        select b.ref into _ref
        from refinery.vibe_branches b
        where b.branch = _line and b.id = numbered.id and b.revision = numbered.revision and b.position <= _until;
        exit when found or _line = 'main';

        select b.parent, b.fork_position into _parent, _fork from refinery.branches b where b.name = _line;
        if not found then
            perform refinery.refuse('BRANCH_NOT_FOUND', jsonb_build_object('branch', numbered.branch));
        end if;
        _line := _parent;
        _until := least(_until, _fork);
    end loop;
    return _ref;
end
$$;
