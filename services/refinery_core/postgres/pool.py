"""Connections to the store: patient at start, bounded in every wait, back by themselves after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from refinery_core.errors import DatabaseUnavailable, Overloaded, RefineryError
from refinery_core.logs import Seldom
from refinery_core.postgres.address import has_password, see_address
from refinery_core.postgres.connecting import Connecting, Pooler
from refinery_core.postgres.fence import Fence
from refinery_core.postgres.translate import STORE_FAILURES, store_errors, translated
from refinery_core.settings import CannotStart, Secret

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_QUIET_SECONDS = 10.0
_NO_SUCH_THING = (
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.ClientConfigurationError,
)
"""No patience helps against these."""


async def open_pool(
    url: str,
    *,
    application_name: str,
    password: Secret | None = None,
    pooler: Pooler = "none",
    min_size: int = 2,
    max_size: int = 10,
    connect_timeout: float = 5.0,
    statement_timeout: float = 8.0,
    command_timeout: float = 10.0,
    patience: float = 60.0,
) -> Pool:
    """
    Open a pool, waiting for a database that is not up yet.

    JSONB arrives as text, as stored. Nothing may be left in a session (SET, session locks, LISTEN): for
    speed, connections are not reset between uses, only open transactions are rolled back.

    Args:
        url: postgresql://… of the app or reader role.
        application_name: How the sessions are named in pg_stat_activity.
        password: For a url that brings none; read again for each new connection.
        pooler: What stands before the database.
        min_size: Connections kept open; 0 does not wait for the database.
        max_size: Connections at the most.
        connect_timeout: Seconds to wait for one new connection.
        statement_timeout: Seconds that the server takes for one statement; then it ends it, and says so.
        command_timeout: Seconds to wait for the answer to one statement. It is longer than the server takes:
            where nothing is heard by then, the server is away, and the connection is given up.
        patience: Seconds to wait for the database at start.

    Raises:
        CannotStart: The database was not there in time, or does not know the role or the database.
    """
    _quieten_the_driver()
    see_address(url)
    if password is not None and has_password(url):
        raise CannotStart(
            "The address of the database has a password, and another one is set; set one of them."
        )
    fence = Fence()
    connecting = Connecting(
        url,
        fence,
        password=password,
        application_name=application_name,
        pooler=pooler,
        statement_timeout=statement_timeout,
    )
    deadline, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        try:
            connections = await asyncpg.create_pool(
                connect=connecting,
                min_size=min(min_size, max_size),
                max_size=max_size,
                timeout=connect_timeout,
                command_timeout=command_timeout,
                max_inactive_connection_lifetime=300.0,
                reset=_leave_as_it_is,
            )
        except _NO_SUCH_THING as error:
            raise CannotStart(f"The database refuses us: {error}.") from error
        except asyncpg.ProtocolViolationError as error:
            raise CannotStart(
                f"The database refuses us: {error}. Where a pooler stands before it, set REFINERY_POOLER."
            ) from error
        except (*STORE_FAILURES, DatabaseUnavailable) as error:
            if time.monotonic() + pause > deadline:
                raise CannotStart(
                    f"The database could not be reached for {patience:.0f} s: {error}."
                ) from error
        else:
            return Pool(connections, connecting, fence)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load, guards nothing
        pause = min(2 * pause, _LONGEST_PAUSE)


class Pool:
    """Connections to one ledger, and what was seen of it through them."""

    def __init__(self, connections: asyncpg.Pool, connecting: Connecting, fence: Fence) -> None:
        self.fence = fence
        self.max_size = connections.get_max_size()
        self._connections = connections
        self._begin = connecting.begin
        self._expiring = set[asyncio.Task[None]]()
        self.generation = 0
        """The number of times that all connections were given up."""
        self.listeners = set[Callable[[], None]]()
        """Are called when they are: whoever keeps a connection for long has to let go of it."""
        connecting.promoted = self.expire_soon

    async def __aenter__(self) -> Self:
        """Give the pool, which is open already."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Wait for all who have a connection, and close."""
        await self._connections.close()

    async def expire(self) -> None:
        """Open all connections anew: the database may have moved."""
        self.generation += 1
        for listener in tuple(self.listeners):
            listener()
        await self._connections.expire_connections()

    def expire_soon(self) -> None:
        """Begin to expire(), where nobody can wait for it."""
        task = asyncio.create_task(self.expire())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    @property
    def keeps_sessions(self) -> bool:
        """Whether a session is one session of the server, in which one can listen."""
        return self._begin is None

    @asynccontextmanager
    async def connection(self, patience: float) -> AsyncIterator[Any]:
        """
        Give a connection, in a transaction where the pooler asks for one.

        Raises:
            Overloaded, DatabaseUnavailable: There is none.
        """
        connection = await self._acquire(patience)
        try:
            if self._begin is not None:
                with store_errors():
                    await connection.execute(self._begin)
            yield connection
        except RefineryError as refusal:
            if isinstance(refusal.__cause__, TimeoutError):
                # It does not answer: it may have moved.
                await self.expire()
            raise
        finally:
            await self._release(connection)

    async def commit(self, connection: Any) -> None:
        """End the transaction of connection(), if there is one."""
        if self._begin is not None:
            await connection.execute("commit")

    async def _acquire(self, patience: float) -> Any:
        try:
            return await self._connections.acquire(timeout=patience)
        except TimeoutError as error:
            busy = self._connections.get_size() >= self.max_size
            full = Overloaded(bound="all connections to the database are busy")
            raise (full if busy else DatabaseUnavailable()) from error
        except STORE_FAILURES as error:
            raise translated(error) or DatabaseUnavailable() from error

    async def _release(self, connection: Any) -> None:
        # What went in and was answered stays true, even if the connection is lost on its way back.
        with contextlib.suppress(*STORE_FAILURES):
            await self._connections.release(connection, timeout=5.0)


@asynccontextmanager
async def reading(pool: Pool, *, patience: float = 5.0) -> AsyncIterator[Any]:
    """
    Give a connection for questions: each statement is a transaction of its own, or all are one together.

    Raises:
        Overloaded: No connection became free within `patience` seconds.
        DatabaseUnavailable: The database cannot be reached, or the connection was lost.
        QuestionTooLarge: The server ended a statement that took too long.
        RefineryError: Whatever else the store refuses with.
    """
    async with pool.connection(patience) as connection:
        with store_errors():
            yield connection
            await pool.commit(connection)


@asynccontextmanager
async def writing(pool: Pool, *, patience: float = 5.0) -> AsyncIterator[Any]:
    """
    Give a connection for writes: as reading(); what was written is committed at the end.

    Raises:
        OutcomeUnknown: The connection was lost after a statement was sent.
        Overloaded: As for reading(); or the server ended a statement that took too long, with what it did.
        ReadOnly: The database takes no writes.
        RefineryError: As for reading(); nothing was written.
    """
    async with pool.connection(patience) as connection:
        with store_errors(during_commit=True):
            yield connection
            await pool.commit(connection)


async def _leave_as_it_is(_: Any) -> None:
    """Replace the driver's RESET ALL, a round trip after every use."""


class _OnceInAWhile(logging.Filter):
    """The driver logs a traceback for every attempt while the database is away; now and then is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._passes = Seldom(_QUIET_SECONDS)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass if the last one was long ago, as one line: its traceback says no more."""
        if not self._passes():
            return False
        if record.exc_info and record.exc_info[1]:
            record.msg = f"{record.getMessage()}: {record.exc_info[1]}"
            record.args, record.exc_info = (), None
        return True


def _quieten_the_driver() -> None:
    logger = logging.getLogger("asyncpg.pool")
    if not any(isinstance(present, _OnceInAWhile) for present in logger.filters):
        logger.addFilter(_OnceInAWhile())
