"""Logs that times stand still, while the clock of the database catches up with one that ran ahead."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from refinery_core.errors import RefineryError
from refinery_core.logs import Seldom
from refinery_core.postgres.database import Database

QUIET_SECONDS: Final = 60.0

_log = structlog.get_logger("refinery.clock")


class Clock:
    """
    Looks at the times that commits are given, which never run backwards.

    When a clock that ran ahead was set right, all of them get the last time that it gave. Only when two
    batches were given the same time is the database asked how far its clock is behind.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = 0
        self._loudly = Seldom(QUIET_SECONDS)
        self._telling: asyncio.Task[None] | None = None

    def committed(self, time: int) -> None:
        """Look at the time of a batch, in microseconds."""
        if time == self._last and self._loudly():
            self._telling = asyncio.create_task(self._tell())
        self._last = max(self._last, time)

    async def aclose(self) -> None:
        """Stop."""
        if self._telling is not None:
            self._telling.cancel()
            with suppress(asyncio.CancelledError):
                await self._telling

    async def _tell(self) -> None:
        with suppress(RefineryError):
            row = await self._database.first("ahead")
            if row is not None and row["seconds"] > 0:
                _log.warning(
                    "times stand still: the last refinement is later than the clock of the database",
                    seconds=round(row["seconds"], 3),
                )
