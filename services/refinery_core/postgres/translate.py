"""The one place where what PostgreSQL and its driver report becomes a refusal of the catalogue.

Decided by SQLSTATE and exception class, never by message text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog

from refinery_core.errors import (
    CATALOGUE,
    Contention,
    DatabaseUnavailable,
    DataCorrupted,
    OutcomeUnknown,
    Overloaded,
    QuestionTooLarge,
    ReadOnly,
    RefineryError,
    StorageFull,
)
from refinery_core.logs import Seldom

OUR_REFUSAL = "RF000"
"""The SQLSTATE of refinery.refuse(); the DETAIL is JSON: {"reason": …, "metadata": {…}}."""

TOO_LONG = "57014"
"""The SQLSTATE of a statement that the server ended because it ran for longer than statement_timeout."""

STORE_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""The errors that a database call can raise. InterfaceError and InternalClientError are no PostgresErrors,
and TimeoutError is an OSError."""

_CERTAIN: dict[str, type[RefineryError]] = {
    "0A000": DatabaseUnavailable,  # "cached plan must not change": a migration ran; only a retry may pass
    "25006": ReadOnly,  # a standby, or default_transaction_read_only
    "26000": DatabaseUnavailable,  # no such prepared statement, and
    "42P05": DatabaseUnavailable,  # one that is there already: see OF_ANOTHER_SESSION
    "42883": DatabaseUnavailable,  # undefined_function: a migration to another version runs, or ran
    "53000": Overloaded,
    "53100": StorageFull,
    "53200": Overloaded,
    "53300": Overloaded,
    "53400": Overloaded,
    TOO_LONG: QuestionTooLarge,
    "57P03": DatabaseUnavailable,
    "XX001": DataCorrupted,
    "XX002": DataCorrupted,
}
"""By SQLSTATE, where the server said that it did nothing."""

OF_ANOTHER_SESSION = ("26000", "42P05")
"""The SQLSTATEs of a session that has the prepared statements of another one: a pooler changes servers."""

_loudly = Seldom(10.0)
_log = structlog.get_logger("refinery.database")

_CONTENDED = frozenset({"40001", "40P01", "55P03"})
_LOST = frozenset({"25P03", "57P01", "57P02", "57P05"})
"""The server ended the session itself, perhaps after it had committed."""


@contextmanager
def store_errors(*, during_commit: bool = False) -> Iterator[None]:
    """
    Turn failures of the store into refusals.

    Args:
        during_commit: A COMMIT may be under way inside: where the connection is lost, or nothing is heard
            in time, nobody knows whether it happened.

    Raises:
        RefineryError: From the original. What is not known here passes unchanged: it is a mistake of ours.
    """
    try:
        yield
    except STORE_FAILURES as error:
        refusal = translated(error, during_commit=during_commit)
        if refusal is None:
            raise
        raise refusal from error


def translated(error: BaseException, *, during_commit: bool = False) -> RefineryError | None:
    """The refusal for a failure of the store, or None if there is none."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate)
        if state == OUR_REFUSAL:
            return _own(error)
        if state in _CONTENDED:
            return Contention(attempts=1)
        if state == "0A000" and not isinstance(error, asyncpg.InvalidCachedStatementError):
            return None
        if state == TOO_LONG and during_commit:
            # A write waits for its turn too, and the same may be quick when it is free.
            return Overloaded(bound="writes take too long")
        if state in _CERTAIN:
            return _certain(state)
        if state not in _LOST and not state.startswith("08"):
            return None
    elif isinstance(error, asyncpg.InterfaceError) and type(error) is not asyncpg.InterfaceError:
        return None  # The driver's name for a wrong argument; the plain class is "connection is closed".
    elif not isinstance(error, STORE_FAILURES):
        return None
    return OutcomeUnknown() if during_commit else DatabaseUnavailable()


def _certain(state: str) -> RefineryError:
    if state in OF_ANOTHER_SESSION and _loudly():
        _log.error("a pooler changes servers between transactions: set REFINERY_POOLER=transaction")
    return _CERTAIN[state]()


def _own(error: asyncpg.PostgresError) -> RefineryError:
    refusal = json.loads(str(error.detail))
    return CATALOGUE[refusal["reason"]](**refusal["metadata"])
