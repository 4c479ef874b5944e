-- name: applied
-- Which migrations and seeds this database has.
select name from refinery.schema_migrations;

-- name: may_write
-- Whether this role may add to the ledger.
select has_table_privilege('refinery.vibes', 'insert') as may_write;
