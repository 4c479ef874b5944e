"""Opens the database for a service: there, fit to serve from, and with what the service may do in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from refinery_core.postgres.connecting import Pooler
from refinery_core.postgres.database import Database
from refinery_core.postgres.pool import open_pool
from refinery_core.postgres.readiness import Readiness
from refinery_core.postgres.release import THIS, Release
from refinery_core.settings import CannotStart, Secret

_PAUSE_SECONDS: Final = 0.5


@asynccontextmanager
async def opened(
    url: str,
    *,
    application_name: str,
    max_size: int,
    writes: bool,
    password: Secret | None = None,
    pooler: Pooler = "none",
    patience: float = 60.0,
    release: Release = THIS,
) -> AsyncIterator[tuple[Database, Readiness]]:
    """
    Open the database, waiting until it is there and migrated, and close it at the end.

    Args:
        url: postgresql://… of the app or reader role.
        application_name: How the sessions are named in pg_stat_activity.
        max_size: Connections at the most.
        password: For a url that brings none; read again for each new connection.
        pooler: What stands before the database.
        writes: Whether this role has to be one that may add to the ledger.
        patience: Seconds to wait for the database, and then for somebody who migrates it.
        release: The one that this program is of.

    Raises:
        CannotStart: The database was not there in time, refuses us, was not migrated or may not be written.
    """
    async with await open_pool(
        url,
        password=password,
        application_name=application_name,
        pooler=pooler,
        max_size=max_size,
        patience=patience,
    ) as pool:
        database = Database(pool)
        readiness = Readiness(database, release)
        await _wait_until_fit(readiness, patience)
        if writes and not await _may_write(database):
            raise CannotStart(
                "REFINERY_DATABASE_URL names a role that may not add to the ledger; the ledger service needs "
                "refinery_app, or a role that is a member of it."
            )
        yield database, readiness


async def _wait_until_fit(readiness: Readiness, patience: float) -> None:
    deadline = time.monotonic() + patience
    while (sentence := await readiness.unfit()) is not None:
        if time.monotonic() > deadline:
            raise CannotStart(f"{sentence} Nobody did within {patience:.0f} s.")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _may_write(database: Database) -> bool:
    row = await database.first("may_write")
    return bool(row and row["may_write"])
