"""The database as the services see it: named queries in, rows out, refusals for failures."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.translate import NOT_WRITABLE, store_errors

NOW: Final = 2**63 - 1
"""The `as_of` position that means: no bound."""


class Database:
    """A pool of connections that runs the queries of queries/*.sql by name."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """
        Read the rows of a named query.

        Raises:
            RefineryError: the database refused, or cannot be reached.
        """
        with store_errors():
            rows: list[asyncpg.Record] = await self.pool.fetch(QUERIES[query], *arguments)
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
        """
        with store_errors():
            connection = await self.pool.acquire()
        try:
            with store_errors(during_commit=True):
                rows: list[asyncpg.Record] = await connection.fetch(QUERIES[query], *arguments)
                return rows
        except BaseException as error:
            if getattr(error.__cause__, "sqlstate", None) == NOT_WRITABLE:
                await self.pool.expire_connections()
            raise
        finally:
            with store_errors():
                await self.pool.release(connection)

    async def last_position(self) -> int:
        """Where the ledger ends."""
        row = await self.first("last_position")
        return int(row["position"]) if row else 0

    async def is_ready(self) -> bool:
        """Whether the database answers."""
        return await self.last_position() > 0
