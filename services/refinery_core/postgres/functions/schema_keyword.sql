-- The places of schemas under a keyword, as refinery_core/vibe/keywords.py has them: 'one', 'many' in an array,
-- 'named' in an object, 'items' for one or many; NULL for data.
create or replace function refinery.schema_keyword(keyword text) returns text
language sql immutable parallel safe
return case keyword
    when 'properties' then 'named'
    when 'items' then 'items'
    when 'allOf' then 'many'
    when 'anyOf' then 'many'
    when 'oneOf' then 'many'
    when 'prefixItems' then 'many'
    when '$defs' then 'named'
    when 'definitions' then 'named'
    when 'dependencies' then 'named'
    when 'dependentSchemas' then 'named'
    when 'patternProperties' then 'named'
    when 'additionalItems' then 'one'
    when 'additionalProperties' then 'one'
    when 'contains' then 'one'
    when 'contentSchema' then 'one'
    when 'else' then 'one'
    when 'if' then 'one'
    when 'not' then 'one'
    when 'propertyNames' then 'one'
    when 'then' then 'one'
    when 'unevaluatedItems' then 'one'
    when 'unevaluatedProperties' then 'one'
end;
