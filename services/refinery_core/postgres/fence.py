"""The ledger as a process has seen it: a database that is behind that, or has another one, is refused.

After a failover the server that was left behind may come back, still take writes, and be found at the old
address. What is written into it is lost, and what was acknowledged by the other one is not seen there.
Nothing is known across restarts of the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from refinery_core.errors import DatabaseUnavailable
from refinery_core.logs import Seldom
from refinery_core.postgres.queries import QUERIES

MOST_PLACES: Final = 32
APART: Final = 64
"""Positions between two places of which note is taken while commits return."""
_QUIET_SECONDS: Final = 10.0
_NOT_THERE: Final = (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError)

_log = structlog.get_logger("refinery.database")


@dataclass(frozen=True, slots=True)
class Place:
    """A position, and the chain there: it proves the ledger up to here."""

    position: int
    chain: bytes


class Fence:
    """
    The ledger as it was seen, and the comparison with the one that is found.

    Another ledger id is refused, and another chain where one was seen. A ledger that ends before what was
    seen is refused unless the server is a standby, which may lag. What a standby showed does not count
    there: it may show a refinement before its primary does.
    """

    def __init__(self) -> None:
        self._ledger: UUID | None = None
        self._places: list[Place] = []
        self._written: Place | None = None
        self._cluster, self._timeline = 0, 0
        self._loudly = Seldom(_QUIET_SECONDS)

    @property
    def written(self) -> tuple[int | None, bytes | None]:
        """Position and chain that a database must have to be written; take it before the write is sent."""
        return (self._written.position, self._written.chain) if self._written else (None, None)

    def committed(self, position: int, chain: bytes) -> None:
        """Take note of a refinement whose COMMIT has returned."""
        place = Place(position, chain)
        self._write(place)
        if not self._places or position >= self._places[-1].position + APART:
            self._remember(place)

    async def check(self, connection: Any) -> bool:
        """
        Compare what a database has with what was seen, and take note of it; whether it was promoted since.

        A database that is not migrated is none to compare with, until a ledger was seen.

        Raises:
            DatabaseUnavailable: it is refused; the log says why.
        """
        # Both are what was known before the question was sent: meanwhile more may be committed.
        written = self._written
        places = (*self._places, *([written] if written else []))
        rows = await self._found(connection, places)
        if not rows:
            if self._ledger is None:
                return False
            raise self._refusal("it has no ledger", None)
        found = rows[0]
        if self._ledger not in (None, found["ledger"]):
            raise self._refusal("it has another ledger", found)
        known = {place.position: place.chain for place in places}
        for row in rows:
            if row["chain_there"] != known.get(row["place"]):
                raise self._refusal(f"its history is another one before position {row['place']}", found)
        if not found["standby"] and written and found["position"] < written.position:
            raise self._refusal("it is behind, or its end was cut off", found)
        promoted = not found["standby"] and await self._promoted(connection, found)
        self._ledger = found["ledger"]
        place = Place(found["position"], found["chain"])
        self._remember(place)
        if not found["standby"]:
            self._write(place)
        return promoted

    async def _found(self, connection: Any, places: tuple[Place, ...]) -> list[asyncpg.Record]:
        try:
            rows: list[asyncpg.Record] = await connection.fetch(
                QUERIES["fence"], ",".join(str(place.position) for place in places)
            )
        except _NOT_THERE:
            return []
        return rows

    async def _promoted(self, connection: Any, found: asyncpg.Record) -> bool:
        """Compare how often the server was promoted: one that was left behind may still be as far."""
        known = self._cluster, self._timeline
        try:
            row = await connection.fetchrow(QUERIES["timeline"])
        except asyncpg.PostgresError:
            return False  # Not every service that speaks like PostgreSQL tells.
        if row is None:
            return False
        cluster, timeline = int(row["cluster"]), int(row["timeline"])
        if cluster == known[0] and timeline < known[1]:
            raise self._refusal(
                f"it was left behind on timeline {timeline}, and timeline {known[1]} was seen", found
            )
        if cluster != self._cluster or timeline > self._timeline:
            self._cluster, self._timeline = cluster, timeline
        return cluster == known[0] and timeline > known[1]

    def _write(self, place: Place) -> None:
        if self._written is None or place.position > self._written.position:
            self._written = place

    def _remember(self, place: Place) -> None:
        if not self._places or place.position > self._places[-1].position:
            self._places.append(place)
        if len(self._places) > MOST_PLACES:
            del self._places[min(range(1, MOST_PLACES), key=self._weight)]

    def _weight(self, nth: int) -> float:
        """The weight of a place in what is remembered: older places may be remembered more sparsely."""
        before, here, after = (place.position for place in self._places[nth - 1 : nth + 2])
        return (after - before) / (self._places[-1].position - here)

    def _refusal(self, problem: str, found: asyncpg.Record | None) -> DatabaseUnavailable:
        seen = self._written or self._places[-1]
        if self._loudly():
            _log.error(
                f"a database is refused: {problem}",
                ledger=str(found["ledger"]) if found else None,
                position=found["position"] if found else None,
                seen_ledger=str(self._ledger),
                seen_position=seen.position,
            )
        return DatabaseUnavailable()
