"""Brings a database up to this version: migrations once, code when it changed, seeds once.

`migrations/` and `seeds/` are state: each file is applied once, in one transaction, and must never be
edited again. `views/`, `functions/`, `triggers/` and `privileges.sql` are code: all of it is applied
again, in one transaction, whenever any of it or the state changed. Seeds come last: they use functions.

Three roles exist in the whole cluster: `refinery_owner` (no login) owns everything; `refinery_app`
and `refinery_reader` may log in, and what they may do says privileges.sql. They are made without a
password: in production the operator sets one, or a client certificate, with ALTER ROLE.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit

import asyncpg

from refinery_core.settings import CannotStart

_LOCK = 0x5245_4649_4E45_5259  # "REFINERY"
_CODE = ("views", "functions", "triggers", "privileges.sql")


_NOT_THERE_YET = (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError)


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file: `migrations/0001_ledger.sql` and what is in it."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What the history remembers it by."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(url: str, *, scripts: Traversable | None = None, patience: float = 60.0) -> list[str]:
    """
    Bring the database up to this version and list what was applied; nothing if it is there already.

    Any number may start at once: one works, the others wait.

    Args:
        url: A superuser, or a role with CREATEROLE that may create a schema; not through a pooler.
        scripts: The folder with the SQL files; this package if absent.
        patience: Seconds to wait for somebody else who migrates.

    Raises:
        CannotStart: An applied file was edited or is missing here, or the wait was over.
        asyncpg.PostgresError: A script failed; its transaction left nothing behind.
    """
    scripts = files(__package__) if scripts is None else scripts
    connection = await asyncpg.connect(url, server_settings={"application_name": "refinery-migrate"})
    try:
        async with _locked(connection, patience):
            await _prepare(connection)
            return await _apply_all(connection, scripts)
    finally:
        await connection.close()


def state() -> list[str]:
    """Name the migrations and seeds of this version, each of which a database at it has."""
    scripts = files(__package__)
    return [script.name for folder in ("migrations", "seeds") for script in _read(scripts, folder)]


async def create_database(url: str) -> bool:
    """Make the database that the url names, if it is not there, through the database `postgres` beside it."""
    name = urlsplit(url).path.removeprefix("/")
    connection = await asyncpg.connect(url, database="postgres")
    try:
        if await connection.fetchval("select true from pg_database where datname = $1", name):
            return False
        quoted = await connection.fetchval("select quote_ident($1)", name)
        await connection.execute(f"create database {quoted} template template0 encoding 'UTF8' locale 'C'")
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return False
    finally:
        await connection.close()
    return True


@asynccontextmanager
async def _locked(connection: asyncpg.Connection, patience: float) -> AsyncIterator[None]:
    # Polled: a session that waits inside pg_advisory_lock() holds a snapshot, which deadlocks
    # with a CREATE INDEX CONCURRENTLY of the one who has the lock.
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
        if loop.time() > deadline:
            raise CannotStart(
                f"Somebody else has been migrating this database for {patience:.0f} s; try later."
            )
        await asyncio.sleep(0.1)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(f"reset role; select pg_advisory_unlock({_LOCK})")


async def _prepare(connection: asyncpg.Connection) -> None:
    bootstrap = files(__package__) / "bootstrap"
    await connection.execute((bootstrap / "roles.sql").read_text())
    try:
        await connection.execute("set role refinery_owner")
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute("grant refinery_owner to current_user")
    await connection.execute("reset role")
    if await connection.fetchval("select to_regnamespace('refinery') is null"):
        await connection.execute("create schema refinery authorization refinery_owner")
    await connection.execute(
        "set role refinery_owner; set search_path = pg_catalog; set check_function_bodies = off;"
        "set lock_timeout = '30s'; set client_min_messages = warning"
    )
    await connection.execute((bootstrap / "history.sql").read_text())


async def _apply_all(connection: asyncpg.Connection, scripts: Traversable) -> list[str]:
    migrations, seeds = list(_read(scripts, "migrations")), list(_read(scripts, "seeds"))
    code = [script for name in _CODE for script in _read(scripts, name)]
    rows = await connection.fetch("select name, sha256 from refinery.schema_migrations")
    history = {row["name"]: row["sha256"] for row in rows}
    _check(migrations + seeds, history)
    applied = [script.name for script in migrations if script.name not in history]
    for script in migrations:
        if script.name not in history:
            await _apply_once(connection, script)
    if await _apply_code(connection, code, again=bool(applied)):
        applied += [script.name for script in code]
    for script in seeds:
        if script.name not in history:
            await _apply_once(connection, script)
            applied.append(script.name)
    return applied


def _read(scripts: Traversable, name: str) -> Iterator[Script]:
    entry = scripts.joinpath(name)
    if entry.is_file():
        yield Script(name, entry.read_text(encoding="utf-8"))
    elif entry.is_dir():
        for file in sorted(entry.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".sql"):
                yield Script(f"{name}/{file.name}", file.read_text(encoding="utf-8"))


def _check(state: list[Script], history: dict[str, str]) -> None:
    known = {script.name: script for script in state}
    for name, sha256 in sorted(history.items()):
        if name not in known:
            raise CannotStart(f"The database is newer than this version, which does not know {name}.")
        if known[name].sha256 != sha256:
            raise CannotStart(
                f"{name} was edited after it was applied; restore it, and put the change in a new file."
            )
    for script in state:
        folder = script.name.split("/")[0]
        later = [name for name in history if name.startswith(f"{folder}/") and name > script.name]
        if script.name not in history and later:
            raise CannotStart(f"{script.name} comes too late, after {max(later)}; give it a higher number.")


async def _apply_once(connection: asyncpg.Connection, script: Script) -> None:
    async with connection.transaction():
        await connection.execute(script.sql)
        await connection.execute(
            "insert into refinery.schema_migrations (name, sha256) values ($1, $2)",
            script.name,
            script.sha256,
        )


async def _apply_code(connection: asyncpg.Connection, code: list[Script], *, again: bool) -> bool:
    digest = hashlib.sha256(
        "".join(f"{script.name} {script.sha256}\n" for script in code).encode()
    ).hexdigest()
    in_force = await connection.fetchval(
        "select sha256 from refinery.schema_code order by number desc limit 1"
    )
    if not code or (in_force == digest and not again):
        return False
    async with connection.transaction():
        await _apply_in_any_order(connection, code)
        await connection.execute("insert into refinery.schema_code (sha256) values ($1)", digest)
    return True


async def _apply_in_any_order(connection: asyncpg.Connection, code: list[Script]) -> None:
    """Files are in the order of their names; one that needs a later one is tried again after it."""
    while code:
        early: list[Script] = []
        fault: asyncpg.PostgresError | None = None
        for script in code:
            try:
                async with connection.transaction():
                    await connection.execute(script.sql)
            except _NOT_THERE_YET as missing:
                early.append(script)
                fault = fault or missing
        if fault and len(early) == len(code):
            raise fault
        code = early
