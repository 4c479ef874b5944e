-- The dialect that a schema names by $schema, as the address of its meta-schema; else the one around it.
create or replace function refinery.schema_dialect(
    schema jsonb, otherwise text default 'https://json-schema.org/draft/2020-12/schema') returns text
language sql immutable parallel safe
return case regexp_replace(schema ->> '$schema', '^https?://json-schema.org/(.*?)#?$', '\1')
    when 'draft-07/schema' then 'http://json-schema.org/draft-07/schema#'
    when 'draft/2019-09/schema' then 'https://json-schema.org/draft/2019-09/schema'
    when 'draft/2020-12/schema' then 'https://json-schema.org/draft/2020-12/schema'
    else otherwise
end;
