-- The number of bytes that embedding will add to a part of a document, counted before anything is copied.
create or replace function refinery.embedded_size(node jsonb, guests jsonb) returns bigint
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    _copy jsonb;
    _own bigint := 0;
begin
    if not node @? 'strict $.** ? (@."$refResolved".type() == "string")' then
        return 0;
    end if;
    if jsonb_typeof(node) = 'array' then
        return (select sum(refinery.embedded_size(a, guests)) from jsonb_array_elements(node) a);
    end if;
    _copy := case when node ? '$refResolved' then refinery.embedded_copy(node, guests) end;
    if _copy = node -> 'allOf' -> -1 then
        node := node #- '{allOf,-1}';
    elsif _copy is not null then
        _own := octet_length(_copy::text);
    end if;
    return _own + coalesce((select sum(refinery.embedded_size(e.value, guests)) from jsonb_each(node) e
                            where jsonb_typeof(e.value) in ('object', 'array')), 0);
end
$$;
