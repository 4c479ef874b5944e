"""The database as the services see it: named queries in, rows out, refusals for failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import structlog

from refinery_core.errors import DatabaseUnavailable, Overloaded, ReadOnly
from refinery_core.logs import Seldom
from refinery_core.postgres.pool import Pool, reading, writing
from refinery_core.postgres.queries import QUERIES

KEPT_FOR_WRITES: Final = 4
"""Connections that reads leave alone, of a pool that has as many to spare."""
PATIENCE_SECONDS: Final = 5.0
NOW: Final = 2**63 - 1
"""The `as_of` position that means: no bound."""
_LOOK_ELSEWHERE_SECONDS: Final = 1.0
"""The pause between openings of all connections while writes are refused: another may be promoted."""

_log = structlog.get_logger("refinery.database")


class Database:
    """A pool of connections that runs the queries of queries/*.sql by name."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        most = pool.max_size
        self._reads = asyncio.Semaphore(max(1, most - min(KEPT_FOR_WRITES, most // 3)))
        self._is_read_only = False
        self._looks_elsewhere = Seldom(_LOOK_ELSEWHERE_SECONDS)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """
        Read the rows of a named query.

        Raises:
            Overloaded: no connection became free in time.
            DatabaseUnavailable: the database cannot be reached.
            QuestionTooLarge: the query took too long.
        """
        async with self._reading() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(QUERIES[query], *arguments)
        return rows

    async def first(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """Read the first row of a named query, if there is one."""
        rows = await self.fetch(query, *arguments)
        return rows[0] if rows else None

    async def write(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """
        Run a named query that writes, as one transaction.

        Raises:
            OutcomeUnknown: the connection was lost after the query was sent.
            DatabaseUnavailable: there was no connection to send it on.
            Overloaded: no connection became free in time, or the query took too long; nothing was written.
        """
        async with writing(self.pool) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(QUERIES[query], *arguments)
        return rows

    async def refine(self, *batch: Any) -> list[asyncpg.Record]:
        """
        Run the one write, in the ledger that was seen before and nowhere else.

        Raises:
            ReadOnly: the database takes no writes.
            DatabaseUnavailable: it is behind what was seen, or another one; or as write() says.
            OutcomeUnknown, Overloaded: as write() says.
        """
        try:
            async with writing(self.pool) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(
                    QUERIES["refine"], *batch, *self.pool.fence.written
                )
                if not rows:
                    await self._refuse(connection)
        except ReadOnly:
            await self._takes_no_writes()
            raise
        if self._is_read_only:
            self._is_read_only = False
            _log.info("the database takes writes again")
        return rows

    async def last_position(self) -> int:
        """The last position of the ledger."""
        row = await self.first("last_position")
        return int(row["position"]) if row else 0

    async def is_ready(self) -> bool:
        """
        Whether the database answers, and has the ledger that was seen before; a standby's will do.

        Raises:
            DatabaseUnavailable: it does not, or has not.
        """
        try:
            async with self._reading() as connection:
                await self.pool.fence.check(connection)
        except DatabaseUnavailable:
            await self.pool.expire()
            raise
        return True

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._reads.acquire()
        except TimeoutError:
            raise Overloaded(bound="all connections to the database are busy with reads") from None
        try:
            async with reading(self.pool) as connection:
                yield connection
        finally:
            self._reads.release()

    async def _refuse(self, connection: Any) -> None:
        await self.pool.expire()
        await self.pool.fence.check(connection)
        raise DatabaseUnavailable

    async def _takes_no_writes(self) -> None:
        if not self._is_read_only:
            self._is_read_only = True
            _log.warning("the database takes no writes: it is a standby, or set to be read only")
        if self._looks_elsewhere():
            await self.pool.expire()
