"""The database as the services see it: named queries in, rows out, refusals for failures."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import asyncpg

from refinery_core.errors import Overloaded
from refinery_core.postgres.pool import reading, writing
from refinery_core.postgres.queries import QUERIES

KEPT_FOR_WRITES: Final = 4
"""Connections that reads leave alone, of a pool that has as many to spare."""
PATIENCE_SECONDS: Final = 5.0
NOW: Final = 2**63 - 1
"""The `as_of` position that means: no bound."""


class Database:
    """A pool of connections that runs the queries of queries/*.sql by name."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        most = pool.get_max_size()
        self._reads = asyncio.Semaphore(max(1, most - min(KEPT_FOR_WRITES, most // 3)))

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """
        Read the rows of a named query.

        Raises:
            Overloaded: no connection became free in time.
            DatabaseUnavailable: the database cannot be reached.
            QuestionTooLarge: the query took too long.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._reads.acquire()
        except TimeoutError:
            raise Overloaded(bound="all connections to the database are busy with reads") from None
        try:
            async with reading(self.pool) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(QUERIES[query], *arguments)
        finally:
            self._reads.release()
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

    async def last_position(self) -> int:
        """Where the ledger ends."""
        row = await self.first("last_position")
        return int(row["position"]) if row else 0

    async def is_ready(self) -> bool:
        """Whether the database answers."""
        return await self.last_position() > 0
