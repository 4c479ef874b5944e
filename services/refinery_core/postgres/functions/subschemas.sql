-- The schemas directly inside a schema, each with its JSON pointer from there.
create or replace function refinery.subschemas(schema jsonb) returns table (way text, schema jsonb)
language sql immutable parallel safe
begin atomic
    select '/' || e.key || m.way, m.value
    from jsonb_each(subschemas.schema) as e,
         lateral (
             select '', e.value
             where refinery.schema_keyword(e.key) in ('one', 'items') and jsonb_typeof(e.value) in ('object', 'boolean')
             union all
             select '/' || (a.n - 1), a.value
             from jsonb_array_elements(case jsonb_typeof(e.value) when 'array' then e.value else '[]' end)
                  with ordinality as a (value, n)
             where refinery.schema_keyword(e.key) in ('many', 'items')
               and jsonb_typeof(a.value) in ('object', 'boolean')
             union all
             select '/' || replace(replace(o.key, '~', '~0'), '/', '~1'), o.value
             from jsonb_each(case jsonb_typeof(e.value) when 'object' then e.value else '{}' end) as o
             where refinery.schema_keyword(e.key) = 'named' and jsonb_typeof(o.value) in ('object', 'boolean')
         ) as m (way, value);
end;
