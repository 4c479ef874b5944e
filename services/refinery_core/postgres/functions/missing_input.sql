-- The refusal of a request of which an input means nothing; NULL if all mean something.
create or replace function refinery.missing_input(
    request jsonb, author text, targets text[], instructions text[], budgets text[]) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    _place integer;
    _field text;
    _input jsonb;
begin
    if author is null then
        _field := 'author_ref';
        _input := request -> 'author';
    elsif array_position(targets, null) is not null then
        _place := array_position(targets, null) - 1;
        _field := format('target_refs[%s]', _place);
        _input := request -> 'targets' -> _place;
    elsif array_position(instructions, null) is not null then
        _place := array_position(instructions, null) - 1;
        _field := format('instruction_refs[%s]', _place);
        _input := request -> 'instructions' -> _place;
    elsif array_position(budgets, null) is not null then
        _place := array_position(budgets, null) - 1;
        _field := format('budget_refs[%s]', _place);
        _input := request -> 'budgets' -> _place;
    else
        return null;
    end if;
    return refinery.refusal('UNKNOWN_REFERENCE', jsonb_build_object(
        'field', _field, 'reference', coalesce(_input ->> 'reference', _input #>> '{}')));
end
$$;
