"""Brings a database up to this version: migrations once, code when it changed, seeds once.

`migrations/` and `seeds/` are state: each file is applied once, in one transaction, and must never be
edited again. `views/`, `functions/`, `triggers/` and `privileges.sql` are code: all of it is applied
again, in one transaction, whenever any of it or the state changed, and what no file defines any more is
dropped. Seeds come last: they use functions.

Three roles exist in the whole cluster: `refinery_owner` (no login) owns everything; `refinery_app`
and `refinery_reader` may log in, and what they may do says privileges.sql. They are made without a
password: in production the operator sets one, or a client certificate, with ALTER ROLE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from refinery_core.postgres.address import see_address
from refinery_core.postgres.apply import apply_code, apply_once, fetching
from refinery_core.postgres.in_force import InForce, standing
from refinery_core.postgres.release import THIS, Release, Script
from refinery_core.postgres.translate import OF_ANOTHER_SESSION
from refinery_core.settings import CannotStart

_LOCK: Final = 0x5245_4649_4E45_5259  # "REFINERY"

_BEFORE_THE_FIRST: Final = """
select h.history is not null and not exists (
    select from pg_attribute a where a.attrelid = h.history and a.attname = 'defines')
from (select to_regclass('refinery.schema_migrations') as history) h
"""


async def migrate(
    url: str, *, release: Release = THIS, downgrade: bool = False, patience: float = 60.0
) -> list[str]:
    """
    Bring the database up to a release and list what was applied; nothing if it is there already.

    Any number may start at once: one works, the others wait.

    Args:
        url: A superuser, or a role with CREATEROLE that may create a schema; not through a pooler.
        release: Where the SQL is; this package if absent.
        downgrade: Whether the code of a newer release may be replaced by this one's.
        patience: Seconds to wait for somebody else who migrates.

    Raises:
        CannotStart: The database is newer, or of before the first release; an applied file was edited or is
            missing here; something of the operator's needs what would be dropped; or the wait was over.
        asyncpg.PostgresError: A script failed, named by a note; its transaction left nothing behind.
    """
    see_address(url)
    connection = await asyncpg.connect(url, server_settings={"application_name": "refinery-migrate"})
    try:
        async with _locked(connection, patience):
            await _prepare(connection)
            return await _apply_all(connection, release, downgrade=downgrade)
    finally:
        await connection.close()


def told(fault: BaseException) -> str:
    """Say in a line why a database cannot be migrated, and in which file; below it PostgreSQL adds hints."""
    line = str(fault).partition("\n")[0].rstrip(".")
    if getattr(fault, "sqlstate", None) in OF_ANOTHER_SESSION:
        line = "a pooler of transactions stands before it; name PostgreSQL itself"
    where = "".join(f" ({name})" for name in getattr(fault, "__notes__", ()))
    return f"The database cannot be migrated: {line}{where}."


async def create_database(url: str) -> bool:
    """Make the database that the url names, if it is not there, through the database `postgres` beside it."""
    see_address(url)
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
    if await connection.fetchval(_BEFORE_THE_FIRST):
        raise CannotStart(
            "This ledger was made by a version before the first release, v0.2.0, whose formats differ: it "
            "cannot be brought up to this version, and a new database is needed."
        )
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


async def _apply_all(connection: asyncpg.Connection, release: Release, *, downgrade: bool) -> list[str]:
    rows = await connection.fetch("select name, sha256 from refinery.schema_migrations")
    history = {row["name"]: row["sha256"] for row in rows}
    in_force = await InForce.read(fetching(connection))
    _check_state(release.state, history)
    if not downgrade:
        _check_code(release, in_force)
    applied = [script.name for script in release.migrations if script.name not in history]
    for script in release.migrations:
        if script.name not in history:
            await apply_once(connection, script)
    if applied or not await _is_in_force(connection, release, in_force):
        applied += await apply_code(connection, release)
    for script in release.seeds:
        if script.name not in history:
            await apply_once(connection, script)
            applied.append(script.name)
    return applied


def _check_state(state: list[Script], history: dict[str, str]) -> None:
    known = {script.name: script for script in state}
    for name, sha256 in sorted(history.items()):
        if name not in known:
            raise CannotStart(
                f"The database is newer than this version, which does not know {name}: migrate with the "
                "newer version; tables are never taken back."
            )
        if known[name].sha256 != sha256:
            raise CannotStart(
                f"{name} was edited after it was applied; restore it, and put the change in a new file."
            )
    for script in state:
        folder = script.name.split("/")[0]
        later = [name for name in history if name.startswith(f"{folder}/") and name > script.name]
        if script.name not in history and later:
            raise CannotStart(f"{script.name} comes too late, after {max(later)}; give it a higher number.")


def _check_code(release: Release, in_force: InForce | None) -> None:
    if in_force is None or in_force.sha256 == release.sha256 or not in_force.is_newer_than(release):
        return
    raise CannotStart(
        f"The SQL code in force is of {in_force.release}, newer than this version, {release.number}: migrate "
        f"with the newer version, or say --downgrade to put the code of {release.number} in its place."
    )


async def _is_in_force(connection: asyncpg.Connection, release: Release, in_force: InForce | None) -> bool:
    """Whether the code is applied, and stands as it was left, with nothing beside it."""
    if in_force is None or in_force.sha256 != release.sha256 or not in_force.comparable:
        return not (in_force or release.code or release.privileges)
    objects = await standing(fetching(connection))
    return {name: found.sha256 for name, found in objects.items()} == in_force.objects
