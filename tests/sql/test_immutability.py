from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import Database

DENIED = "42501"
IMMUTABLE = "RF002"

COLUMNS = {
    "ledger": "id",
    "refinements": "chain",
    "vibes": "solution",
    "vibe_refs": "floating",
    "branches": "fork_position",
    "vibe_branches": "ref",
    "role_members": "member",
    "role_rules": "verbs",
    "denials": "count",
}
GIVEN = {
    "role_members": "ref, member",
    "denials": "minute, service, instance, principal, method, verb, id, branch, role, problem, count",
}
"""The columns of a table that computes another one."""
ONLY_READ = {"ledger"}
"""By the services; migrate fills it once."""
OF_MIGRATE = {"schema_migrations", "schema_code"}
CHANGES = {
    "update": "update refinery.{table} set {column} = {column}",
    "update of no row": "update refinery.{table} set {column} = {column} where false",
    "delete": "delete from refinery.{table}",
    "delete of no row": "delete from refinery.{table} where false",
    "truncate": "truncate refinery.{table} cascade",
    "upsert": "insert into refinery.{into} select {given} from refinery.{table} "
    "on conflict on constraint {table}_pkey do update set {column} = excluded.{column}",
    "merge": "merge into refinery.{table} t using refinery.{table} s on false "
    "when matched then update set {column} = s.{column}",
}
INSERT = "insert into refinery.{into} select {given} from refinery.{table} on conflict do nothing"
CAN = {"refinery_app": DENIED, "refinery_reader": DENIED, "refinery_owner": IMMUTABLE, "postgres": IMMUTABLE}


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


def statement(sql: str, table: str) -> str:
    """A statement for a table."""
    given = GIVEN.get(table)
    into = f"{table} ({given})" if given else table
    return sql.format(table=table, column=COLUMNS[table], into=into, given=given or "*")


def changes(table: str) -> dict[str, str]:
    """Each way to change the rows of a table."""
    return {name: statement(sql, table) for name, sql in CHANGES.items()}


async def sqlstate(connection: asyncpg.Connection, role: str, sql: str) -> str:
    """The outcome of a statement for a role; it is rolled back if it succeeds."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"set local role {role}")
        await connection.execute(sql)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    else:
        return "00000"
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("role", CAN)
async def test_no_role_changes_or_takes_away_a_row_of_any_table(
    connection: asyncpg.Connection, role: str
) -> None:
    found = {
        (table, name): await sqlstate(connection, role, sql)
        for table in COLUMNS
        for name, sql in changes(table).items()
    }
    assert found == dict.fromkeys(found, CAN[role])


async def test_the_triggers_stand_where_replication_would_pass_by_others(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("set session_replication_role = replica")
    for table in COLUMNS:
        for sql in changes(table).values():
            assert await sqlstate(connection, "postgres", sql) == IMMUTABLE


@pytest.mark.parametrize("table", COLUMNS)
async def test_the_app_adds_and_looks_and_the_reader_only_looks(
    connection: asyncpg.Connection, table: str
) -> None:
    insert = statement(INSERT, table)
    lock = f"select from refinery.{table} for update"
    assert await sqlstate(connection, "refinery_app", insert) == (DENIED if table in ONLY_READ else "00000")
    assert await sqlstate(connection, "refinery_reader", insert) == DENIED
    for role in ("refinery_app", "refinery_reader"):
        assert await sqlstate(connection, role, f"select from refinery.{table}") == "00000"
        assert await sqlstate(connection, role, lock) == DENIED
        for sql in (
            f"drop table refinery.{table} cascade",
            f"alter table refinery.{table} disable trigger all",
            f"create trigger x before insert on refinery.{table} execute function refinery.refuse_change()",
        ):
            assert await sqlstate(connection, role, sql) == DENIED


async def test_every_table_of_the_ledger_is_in_this_matrix(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "select relname from pg_class where relnamespace = 'refinery'::regnamespace and relkind in ('r', 'p')"
    )
    assert {row["relname"] for row in rows} == {*COLUMNS, *OF_MIGRATE}


async def test_the_privileges_of_the_services_are_these_and_no_others(
    connection: asyncpg.Connection,
) -> None:
    rows = await connection.fetch(
        "select c.relname, a.grantee::regrole::text as role,"
        " string_agg(a.privilege_type, ' ' order by a.privilege_type) as can"
        " from pg_class c, aclexplode(c.relacl) a"
        " where c.relnamespace = 'refinery'::regnamespace and a.grantee <> c.relowner group by 1, 2"
    )
    can = {(row["relname"], row["role"]): row["can"] for row in rows}
    adds = {table for table in COLUMNS if can[table, "refinery_app"] == "INSERT SELECT"}
    assert adds == {*COLUMNS} - ONLY_READ
    assert {can[table, "refinery_reader"] for table in COLUMNS} == {"SELECT"}
    assert all(may == "SELECT" for (name, _), may in can.items() if name not in adds)


async def test_the_reader_may_not_refine(connection: asyncpg.Connection) -> None:
    assert (
        await sqlstate(connection, "refinery_reader", "select refinery.refine('[]', '{}', '{}', '{}')")
        == DENIED
    )
    assert (
        await sqlstate(connection, "refinery_app", "select refinery.refine('[]', '{}', '{}', '{}')")
        == "00000"
    )


async def test_nobody_else_may_even_look(connection: asyncpg.Connection) -> None:
    await connection.execute("create role stranger_of_tests")
    try:
        for table in COLUMNS:
            assert await sqlstate(connection, "stranger_of_tests", f"table refinery.{table}") == DENIED
        refine = "select refinery.refine('[]', '{}', '{}', '{}')"
        assert await sqlstate(connection, "stranger_of_tests", refine) == DENIED
    finally:
        await connection.execute("drop role stranger_of_tests")
