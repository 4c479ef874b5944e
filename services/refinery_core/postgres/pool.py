"""Connections to the store: patient at start, bounded in every wait, back by themselves after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from refinery_core.errors import DatabaseUnavailable, Overloaded, RefineryError
from refinery_core.postgres.translate import NOT_WRITABLE, STORE_FAILURES, store_errors, translated
from refinery_core.settings import CannotStart

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
    min_size: int = 2,
    max_size: int = 10,
    connect_timeout: float = 5.0,
    statement_timeout: float = 8.0,
    command_timeout: float = 10.0,
    patience: float = 60.0,
) -> asyncpg.Pool:
    """
    Open a pool, waiting for a database that is not up yet.

    JSONB arrives as text, as stored. Nothing may be left in a session (SET, session locks, LISTEN): for
    speed, connections are not reset between uses, only open transactions are rolled back.

    Args:
        url: postgresql://… of the app or reader role.
        application_name: How the sessions are named in pg_stat_activity.
        min_size: Connections kept open.
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
    deadline, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=min(min_size, max_size),
                max_size=max_size,
                timeout=connect_timeout,
                command_timeout=command_timeout,
                max_inactive_connection_lifetime=300.0,
                reset=_leave_as_it_is,
                server_settings={
                    "application_name": application_name,
                    "search_path": "pg_catalog",
                    "jit": "off",
                    "statement_timeout": str(round(statement_timeout * 1_000)),
                },
            )
        except _NO_SUCH_THING as error:
            raise CannotStart(f"The database refuses us: {error}.") from error
        except STORE_FAILURES as error:
            if time.monotonic() + pause > deadline:
                raise CannotStart(
                    f"The database could not be reached for {patience:.0f} s: {error}."
                ) from error
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load, guards nothing
        pause = min(2 * pause, _LONGEST_PAUSE)


@asynccontextmanager
async def reading(pool: asyncpg.Pool, *, patience: float = 5.0) -> AsyncIterator[Any]:
    """
    Give a connection for questions: each statement is a transaction of its own.

    Raises:
        Overloaded: No connection became free within `patience` seconds.
        DatabaseUnavailable: The database cannot be reached, or the connection was lost.
        QuestionTooLarge: The server ended a statement that took too long.
        RefineryError: Whatever else the store refuses with.
    """
    connection = await _acquire(pool, patience)
    try:
        with store_errors():
            yield connection
    except RefineryError as refusal:
        await _distrust(pool, refusal.__cause__)
        raise
    finally:
        await _release(pool, connection)


@asynccontextmanager
async def writing(pool: asyncpg.Pool, *, patience: float = 5.0) -> AsyncIterator[Any]:
    """
    Give a connection for writes: each statement is a transaction of its own, committed when it returns.

    Raises:
        OutcomeUnknown: The connection was lost after a statement was sent.
        Overloaded: As for reading(); or the server ended a statement that took too long, with what it did.
        RefineryError: As for reading(); nothing was written.
    """
    connection = await _acquire(pool, patience)
    try:
        with store_errors(during_commit=True):
            yield connection
    except RefineryError as refusal:
        await _distrust(pool, refusal.__cause__)
        raise
    finally:
        await _release(pool, connection)


async def _acquire(pool: asyncpg.Pool, patience: float) -> Any:
    try:
        return await pool.acquire(timeout=patience)
    except TimeoutError as error:
        busy = pool.get_size() >= pool.get_max_size()
        full = Overloaded(bound="all connections to the database are busy")
        raise (full if busy else DatabaseUnavailable()) from error
    except STORE_FAILURES as error:
        raise translated(error) or DatabaseUnavailable() from error


async def _distrust(pool: asyncpg.Pool, cause: BaseException | None) -> None:
    """Open all connections anew where the server became a standby, or does not answer: it may have moved."""
    if isinstance(cause, TimeoutError) or getattr(cause, "sqlstate", None) == NOT_WRITABLE:
        await pool.expire_connections()


async def _release(pool: asyncpg.Pool, connection: Any) -> None:
    # What went in and was answered stays true, even if the connection is lost on its way back.
    with contextlib.suppress(*STORE_FAILURES):
        await pool.release(connection, timeout=5.0)


async def _leave_as_it_is(_: Any) -> None:
    """Replace the driver's RESET ALL, a round trip after every use."""


class _OnceInAWhile(logging.Filter):
    """The driver logs a traceback for every attempt while the database is away; now and then is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass if the last one was long ago, as one line: its traceback says no more."""
        if record.created - self._last < _QUIET_SECONDS:
            return False
        self._last = record.created
        if record.exc_info and record.exc_info[1]:
            record.msg = f"{record.getMessage()}: {record.exc_info[1]}"
            record.args, record.exc_info = (), None
        return True


def _quieten_the_driver() -> None:
    logger = logging.getLogger("asyncpg.pool")
    if not any(isinstance(present, _OnceInAWhile) for present in logger.filters):
        logger.addFilter(_OnceInAWhile())
