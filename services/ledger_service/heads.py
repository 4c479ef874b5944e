"""Lines and branches as a ledger process remembers them: heads, which the commit checks, and levels."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refinery_core.kept import Kept
from refinery_core.postgres.database import Database

Line = tuple[str, str]
"""A branch and an id."""

Heads = Kept[Line, str]
"""The latest ref of a line, as far as is known. It may be stale: refine() refuses a pin that is."""


class Levels:
    """The number of branches that a line is looked up on: its own, and those that it was forked from."""

    def __init__(self, database: Database, most: int = 50_000) -> None:
        self._database = database
        self._kept: Kept[str, int] = Kept(most=most)
        self._kept.keep("main", 1)

    async def of(self, branches: Collection[str]) -> Mapping[str, int]:
        """
        The levels of each branch. One that does not exist counts as one: the commit refuses it.

        A branch never changes, so its levels are read once.
        """
        levels = {name: self._kept.get(name) for name in branches}
        unknown = [name for name, level in levels.items() if level is None]
        if unknown:
            for row in await self._database.fetch("branch_levels", unknown):
                levels[row["name"]] = row["levels"]
                self._kept.keep(row["name"], row["levels"])
        return {name: level or 1 for name, level in levels.items()}
