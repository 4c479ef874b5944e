-- By which name a request holds the Role of its author, or why it may not be committed in that name.
--   {held_as}          it may
--   {reason, metadata} it may not: ROLE_SUPERSEDED, PERMISSION_DENIED, UNKNOWN_REFERENCE
-- `in_force` is the latest revision of the author's Role on main. A request has `authority`:
--   names   the principal, and the groups of its token
--   root    whether the principal is one of REFINERY_ROOT
--   behalf  the RECORD of an execution or a schedule; then the principal carries it out, and its author's Role says what it
--           may do
-- A principal with `carry-out` for the ids of all drafts, which are RECORDs, writes them in the name of any Role in force: so
-- executions, schedules and events are recorded.
create or replace function refinery.judge_authority(request jsonb, author text, author_type text, in_force text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _now constant bigint := 9223372036854775807;
    _names constant jsonb := request -> 'authority' -> 'names';
    _behalf constant text := request -> 'authority' ->> 'behalf';
    _execution record;
    _draft record;
    _held_as text;
    _refusal jsonb;
begin
    if author_type <> 'ROLE' then
        return refinery.denial(request, 'refine', null, null, author, 'nobody holds a PROCESS; its executions act for their author');
    elsif in_force is null then
        return refinery.denial(request, 'refine', null, null, author, 'Roles are in force on main alone, and this one is not there');
    elsif author <> in_force then
        return refinery.refusal('ROLE_SUPERSEDED', jsonb_build_object('ref', author, 'in_force', in_force));
    end if;

    if _behalf is null then
        _held_as := case when refinery.is_genesis(author) then
                        case when (request -> 'authority' -> 'root')::boolean then _names ->> 0 end
                    else refinery.held_as(author, _names) end;
        if _held_as is null then
            _refusal := refinery.denial(request, 'refine', null, null, author, 'the principal does not hold this Role');
        end if;
    else
        select v.id, v.author_ref into _execution from refinery.vibes v
        where v.ref = _behalf and (starts_with(v.id, 'executions/') or starts_with(v.id, 'schedules/')) limit 1;
        if not found then
            return refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object('field', 'behalf_ref', 'reference', _behalf));
        elsif split_part(split_part(_execution.author_ref, '@', 2), '?', 1)
              <> split_part(split_part(author, '@', 2), '?', 1) then
            return refinery.denial(request, 'carry-out', _execution.id, 'main', author, 'the execution has another author');
        end if;
        select r.held_as into _held_as from refinery.roles_of(_names, _now) r
        where refinery.role_allows(r.ref, 'carry-out', _execution.id, null, null) limit 1;
        if _held_as is null then
            return refinery.denial(
                request, 'carry-out', _execution.id, 'main', author, 'the principal holds no Role that may carry it out');
        end if;
    end if;

    if _refusal is null then
        for _draft in
            select d.draft ->> 'id' as id, d.draft ->> 'type' as type, b as branch
            from jsonb_array_elements(request -> 'drafts') d (draft), jsonb_array_elements_text(d.draft -> 'branches') b
        loop
            if starts_with(_draft.id, 'system/branches/') then
                if not refinery.role_allows(author, 'branch', null, substr(_draft.id, 17), null) then
                    _refusal := refinery.denial(
                        request, 'branch', _draft.id, substr(_draft.id, 17), author, 'none of its rules allows it');
                end if;
            elsif not refinery.role_allows(author, 'refine', _draft.id, _draft.branch, _draft.type) then
                _refusal := refinery.denial(
                    request, 'refine', _draft.id, _draft.branch, author, 'none of its rules allows it');
            end if;
            exit when _refusal is not null;
        end loop;
    end if;

    if _refusal is not null and not refinery.is_genesis(author) then
        select r.held_as into _held_as from refinery.roles_of(_names, _now) r
        where not exists (
            select from jsonb_array_elements(request -> 'drafts') d (draft), jsonb_array_elements_text(d.draft -> 'branches') b
            where d.draft ->> 'type' <> 'RECORD' or not refinery.role_allows(r.ref, 'carry-out', d.draft ->> 'id', b, 'RECORD'))
        limit 1;
        if _held_as is not null then
            _refusal := null;
        end if;
    end if;
    return coalesce(_refusal, jsonb_build_object('held_as', _held_as));
end
$$;
