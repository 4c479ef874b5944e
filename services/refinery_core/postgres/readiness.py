"""Whether a service can serve from its database: of its version, or of a newer one that serves it as well."""

from __future__ import annotations

from typing import Final

import asyncpg
import structlog

from refinery_core.postgres.database import Database
from refinery_core.postgres.in_force import MIGRATE, InForce, newer, standing, unfit
from refinery_core.postgres.release import THIS, Release

_NOT_THERE: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""Before the first migration there is no history; before its end nobody may read it."""

_log = structlog.get_logger("refinery.database")


class Readiness:
    """The question that health asks again and again. It is asked before the service begins as well."""

    def __init__(self, database: Database, release: Release = THIS) -> None:
        self._database = database
        self._release = release
        self._told: str | None = None

    async def __call__(self) -> bool:
        """Whether the database answers, and this program can serve from it."""
        return await self.unfit() is None and await self._database.is_ready()

    async def unfit(self) -> str | None:
        """
        Say in one sentence why this program cannot serve from the database; None where it can.

        That sentence, and that the database is newer, are logged when they come up, once.
        """
        sentence, note = await self._look()
        if sentence is not None:  # Somebody may have migrated between two of the questions.
            sentence, note = await self._look()
        if sentence is not None:
            self._tell(sentence, warn=True)
        elif note is not None:
            self._tell(note, warn=False)
        else:
            self._told = None
        return sentence

    async def _look(self) -> tuple[str | None, str | None]:
        try:
            applied = [row["name"] for row in await self._database.fetch("applied")]
            found = await InForce.read(self._database.fetch)
            objects = await standing(self._database.fetch)
        except _NOT_THERE:
            return f"The database was not migrated: {MIGRATE}.", None
        if missing := [script.name for script in self._release.state if script.name not in applied]:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return f"The database lacks {missing[0]}{more}: {MIGRATE}.", None
        return unfit(self._release, found, objects), newer(self._release, found, applied)

    def _tell(self, sentence: str, *, warn: bool) -> None:
        if sentence != self._told:
            (_log.warning if warn else _log.info)(sentence)
            self._told = sentence
