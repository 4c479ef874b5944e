"""What a ledger process remembers of lines and branches: guesses that the commit checks, and facts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

from refinery_core.postgres.database import Database

Line = tuple[str, str]
"""A branch and an id."""


class Heads:
    """The latest ref of a line, as far as is known. It may be stale: refine() refuses a pin that is."""

    def __init__(self, limit: int = 50_000) -> None:
        self._refs: OrderedDict[Line, str] = OrderedDict()
        self._limit = limit

    def get(self, line: Line) -> str | None:
        """The latest ref, if it is known."""
        return self._refs.get(line)

    def put(self, line: Line, ref: str) -> None:
        """Note what was seen or committed."""
        self._refs[line] = ref
        self._refs.move_to_end(line)
        if len(self._refs) > self._limit:
            self._refs.popitem(last=False)

    def follow(self, line: Line, ref: str) -> None:
        """Note a commit on a line that somebody asked for before; others are not worth a place."""
        if line in self._refs:
            self._refs[line] = ref

    def forget(self, line: Line) -> None:
        """Drop what turned out to be stale."""
        self._refs.pop(line, None)


class Levels:
    """How many branches a line is looked up on: its own, and those that it was forked from, up to main."""

    def __init__(self, database: Database, limit: int = 50_000) -> None:
        self._database = database
        self._known: OrderedDict[str, int] = OrderedDict(main=1)
        self._limit = limit

    async def of(self, branches: Collection[str]) -> Mapping[str, int]:
        """
        The levels of each branch. One that does not exist counts as one: the commit refuses it.

        A branch never changes, so what was asked once is kept.
        """
        unknown = [name for name in branches if name not in self._known]
        if unknown:
            for row in await self._database.fetch("branch_levels", unknown):
                self._known[row["name"]] = row["levels"]
        levels = {name: self._known.get(name, 1) for name in branches}
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return levels
