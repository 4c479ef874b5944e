-- The $id of a schema, if it gives an address: in draft-07 one beside a $ref is ignored, and one like "#name" is an anchor.
create or replace function refinery.schema_address(schema jsonb, dialect text) returns text
language sql immutable parallel safe
return case
    when jsonb_typeof(schema -> '$id') is distinct from 'string' then null
    when dialect not like '%draft-07%' then schema ->> '$id'
    when jsonb_typeof(schema -> '$ref') = 'string' then null
    when schema ->> '$id' like '#_%' then null
    else schema ->> '$id'
end;
