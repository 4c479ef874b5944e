"""Writes down the denials of a process, minute by minute."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from refinery_core.errors import RefineryError
from refinery_core.postgres.database import Database
from refinery_core.serving.audit import DENIALS, Denials

EVERY_SECONDS: Final = 10.0

_log = structlog.get_logger("refinery.audit")


@asynccontextmanager
async def denials_kept(
    database: Database, service: str, denials: Denials = DENIALS, *, every_seconds: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Insert each minute that is over into refinery.denials, and the last one at the end."""
    instance = uuid.uuid4()
    writing = asyncio.create_task(_write_for_ever(database, service, instance, denials, every_seconds))
    try:
        yield
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await _write(database, service, instance, denials, before=math.inf)


async def _write_for_ever(
    database: Database, service: str, instance: uuid.UUID, denials: Denials, every_seconds: float
) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        await _write(database, service, instance, denials, before=time.time())


async def _write(
    database: Database, service: str, instance: uuid.UUID, denials: Denials, *, before: float
) -> None:
    taken = denials.take(before=before)
    if not taken:
        return
    columns = list(
        zip(
            *(
                (
                    datetime.fromtimestamp(denial.minute, UTC),
                    denial.principal,
                    denial.method,
                    denial.verb,
                    denial.id,
                    denial.branch,
                    denial.role,
                    denial.problem,
                    count,
                )
                for denial, count in taken
            ),
            strict=True,
        )
    )
    try:
        await database.write("note_denials", service, instance, *map(list, columns))
    except RefineryError as refusal:
        # They are in the log as well; those of an unknown outcome are not written twice.
        if refusal.reason != "OUTCOME_UNKNOWN":
            denials.give_back(taken)
        _log.warning("denials are not written down yet", reason=refusal.reason, count=len(taken))
