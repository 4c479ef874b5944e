-- name: ledger_id
-- Which ledger this is.
select id from refinery.ledger;

-- name: fence
-- Which ledger this is, where it ends, and whether it follows another server; a row for each of the positions $1 that it has.
-- They come as text, with commas: the driver first asks the server at length what an array is.
select l.id as ledger, e.position, e.chain, pg_is_in_recovery() as standby, k.position as place, k.chain as chain_there
from refinery.ledger l
cross join lateral (select f.position, f.chain from refinery.refinements f order by f.position desc limit 1) e
left join refinery.refinements k on k.position = any (string_to_array($1, ',')::bigint[])
order by k.position;

-- name: timeline
-- Which cluster a primary is of, and its timeline, which grows with each promotion; no row from a standby.
select c.system_identifier as cluster, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer as timeline
from pg_control_system() c where not pg_is_in_recovery();

-- name: about
-- Which ledger this is, where it ends, and what is in force.
select l.id, r.position, r.chain, substr(m.name, length('migrations/') + 1) as migration, c.sha256 as code,
       current_setting('server_version') as postgres
from refinery.ledger l,
     lateral (select f.position, f.chain from refinery.refinements f order by f.position desc limit 1) r,
     lateral (
         select regexp_replace(h.name, '\.sql$', '') as name from refinery.schema_migrations h
         where starts_with(h.name, 'migrations/') order by h.name desc limit 1) m,
     lateral (select (select k.sha256 from refinery.schema_code k order by k.number desc limit 1) as sha256) c;

-- name: applied
-- Which migrations and seeds this database has.
select name from refinery.schema_migrations;

-- name: code_in_force
-- Which code was applied last, and whether this server shows texts as the one did that it was applied on.
select c.sha256, c.release, c.contract, c.oldest_contract, c.objects,
       c.postgres = current_setting('server_version_num')::integer / 10000 as comparable
from refinery.schema_code c order by c.number desc limit 1;

-- name: code_objects
-- The functions, views and triggers of the schema as they stand; those of extensions are not ours.
select o.object, encode(sha256(convert_to(o.text, 'UTF8')), 'hex') as sha256, o.stamp
from (
    select case p.prokind when 'p' then 'procedure ' else 'function ' end || p.oid::regprocedure as object,
           pg_get_functiondef(p.oid) as text, p.xmin::text as stamp
    from pg_proc p
    where p.pronamespace = 'refinery'::regnamespace and p.prokind in ('f', 'p') and not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    union all
    select case c.relkind when 'm' then 'materialized view ' else 'view ' end || c.oid::regclass,
           pg_get_viewdef(c.oid), r.xmin::text
    from pg_class c join pg_rewrite r on r.ev_class = c.oid and r.rulename = '_RETURN'
    where c.relnamespace = 'refinery'::regnamespace and c.relkind in ('v', 'm') and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    union all
    select format('trigger %I on %s', t.tgname, t.tgrelid::regclass), pg_get_triggerdef(t.oid) || t.tgenabled::text, t.xmin::text
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = 'refinery'::regnamespace and not t.tgisinternal
) o;

-- name: may_write
-- Whether this role may add to the ledger.
select has_table_privilege('refinery.vibes', 'insert') as may_write;
