-- name: ledger_id
-- Which ledger this is.
select id from refinery.ledger;

-- name: about
-- Which ledger this is, where it ends, and what is in force.
select l.id, r.position, r.chain, substr(m.name, length('migrations/') + 1) as migration, c.sha256 as code,
       current_setting('server_version') as postgres
from refinery.ledger l,
     lateral (select f.position, f.chain from refinery.refinements f order by f.position desc limit 1) r,
     lateral (
         select regexp_replace(h.name, '\.sql$', '') as name from refinery.schema_migrations h
         where starts_with(h.name, 'migrations/') order by h.name desc limit 1) m,
     lateral (select k.sha256 from refinery.schema_code k order by k.number desc limit 1) c;

-- name: applied
-- Which migrations and seeds this database has.
select name from refinery.schema_migrations;

-- name: may_write
-- Whether this role may add to the ledger.
select has_table_privilege('refinery.vibes', 'insert') as may_write;
