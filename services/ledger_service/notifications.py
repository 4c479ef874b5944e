"""NOTIFY after COMMIT: the ledgers on one database learn of each other's commits without polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from refinery_core.errors import RefineryError
from refinery_core.postgres.address import has_password
from refinery_core.postgres.database import Database
from refinery_core.postgres.pool import Pool, open_pool, reading
from refinery_core.postgres.queries import QUERIES
from refinery_core.settings import Secret

CHANNEL = "refinery"
PAUSE_SECONDS = 0.01
"""The pause between two notifications: the second one covers all commits since the first."""
RETRY_SECONDS = 1.0

_log = structlog.get_logger("refinery.notifications")


@asynccontextmanager
async def sessions(
    database: Database, url: str | None, password: Secret | None = None
) -> AsyncIterator[Pool | None]:
    """
    The pool for a session that listens: at an address of its own, or the database's; None for no session.

    The password is for an address that brings none.
    A pooler of transactions keeps no session that could receive notifications.
    """
    if url is None:
        yield database.pool if database.pool.keeps_sessions else None
        return
    password = None if has_password(url) else password
    async with await open_pool(
        url, password=password, application_name="refinery-ledger", min_size=0, max_size=1
    ) as pool:
        database.pool.listeners.add(pool.expire_soon)
        yield pool


class Notifications:
    """
    One session that sends notifications and receives them, best effort: a lost one is never sent again.

    The COMMIT of a notification takes a lock that all databases of the server share. Inside refine() it
    would hold that lock while it waits for a synchronous standby, and stop the commits of every other
    ledger on the server. This session notifies after refine()'s COMMIT, and waits for no standby: see
    the query `notify`.
    """

    def __init__(self, pool: Pool | None, heard: Callable[[int], object]) -> None:
        """
        Begin to listen.

        Args:
            pool: The pool for the session; without one no notification is sent or received.
            heard: Is called with the position of each notification, our own too; 0 is not known.
        """
        self._pool = pool
        self._heard = heard
        self._reason = ""
        self._untold = 0
        self._woken = asyncio.Event()
        self._session = asyncio.create_task(self._keep_a_session())

    def tell(self, position: int) -> None:
        """Notify the other ledgers, soon, of the last position. One notification is sent at a time."""
        self._untold = max(self._untold, position)
        self._woken.set()

    async def aclose(self) -> None:
        """End the session."""
        self._session.cancel()
        with suppress(asyncio.CancelledError):
            await self._session

    async def _keep_a_session(self) -> None:
        while self._pool is not None:
            try:
                generation = self._pool.generation
                async with self._listening(self._pool) as connection:
                    self._reason = ""
                    self._heard(0)
                    while not connection.is_closed() and self._pool.generation == generation:
                        await self._send(connection)
            except RefineryError as refusal:
                # A standby refuses for as long as it is one.
                if refusal.reason != self._reason:
                    _log.warning("no notifications; watches look for themselves", reason=refusal.reason)
                self._reason = refusal.reason
            except Exception:  # noqa: BLE001 - a mistake of ours is logged, and the session begins again
                _log.exception("the session of notifications failed; it begins again")
            await asyncio.sleep(RETRY_SECONDS)

    @asynccontextmanager
    async def _listening(self, pool: Pool) -> AsyncIterator[Any]:
        def heard(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            self._heard(int(payload) if payload.isdecimal() else 0)

        def ended(_: object) -> None:
            self._woken.set()

        async with reading(pool) as connection:
            await connection.add_listener(CHANNEL, heard)
            connection.add_termination_listener(ended)
            pool.listeners.add(self._woken.set)
            try:
                yield connection
            finally:
                pool.listeners.discard(self._woken.set)
                # A lost connection refuses this too; its error must not replace a cancellation.
                with suppress(asyncpg.InterfaceError):
                    connection.remove_termination_listener(ended)
                    await connection.remove_listener(CHANNEL, heard)

    async def _send(self, connection: Any) -> None:
        await self._woken.wait()
        self._woken.clear()
        position, self._untold = self._untold, 0
        if position and not connection.is_closed():
            await connection.execute(QUERIES["notify"], str(position))
            await asyncio.sleep(PAUSE_SECONDS)
