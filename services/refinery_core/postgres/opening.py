"""Opens the database for a service: there, at this version, and with what the service may do in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import structlog

from refinery_core.postgres.database import Database
from refinery_core.postgres.migrate import state
from refinery_core.postgres.pool import open_pool
from refinery_core.settings import CannotStart

_PAUSE_SECONDS: Final = 0.5
_NOT_THERE: Final = (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError)
"""Before the first migration there is no history; before its end nobody may read it."""

_log = structlog.get_logger("refinery.database")


@asynccontextmanager
async def opened(
    url: str, *, application_name: str, max_size: int, writes: bool, patience: float = 60.0
) -> AsyncIterator[Database]:
    """
    Open the database, waiting until it is there and migrated, and close it at the end.

    Args:
        url: postgresql://… of the app or reader role.
        application_name: How the sessions are named in pg_stat_activity.
        max_size: Connections at the most.
        writes: Whether this role has to be one that may add to the ledger.
        patience: Seconds to wait for the database, and then for somebody who migrates it.

    Raises:
        CannotStart: The database was not there in time, refuses us, was not migrated or may not be written.
    """
    async with await open_pool(
        url, application_name=application_name, max_size=max_size, patience=patience
    ) as pool:
        database = Database(pool)
        await _wait_for_migration(database, patience)
        if writes and not await _may_write(database):
            raise CannotStart(
                "REFINERY_DATABASE_URL names a role that may not add to the ledger; the ledger service needs "
                "refinery_app, or a role that is a member of it."
            )
        yield database


async def _wait_for_migration(database: Database, patience: float) -> None:
    deadline, told = time.monotonic() + patience, False
    while missing := await _missing(database):
        if not told:
            _log.warning("the database is not at this version: run 'refinery migrate'", missing=missing)
            told = True
        if time.monotonic() > deadline:
            raise CannotStart(
                f"The database is not at this version after {patience:.0f} s: run 'refinery migrate'."
            )
        await asyncio.sleep(_PAUSE_SECONDS)


async def _missing(database: Database) -> list[str]:
    """What a migration to this version would still apply; what a later one added does no harm."""
    wanted = state()
    try:
        applied = {row["name"] for row in await database.fetch("applied")}
    except _NOT_THERE:
        return wanted
    return [name for name in wanted if name not in applied]


async def _may_write(database: Database) -> bool:
    row = await database.first("may_write")
    return bool(row and row["may_write"])
