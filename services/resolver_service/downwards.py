"""Follows schema edges from a Vibe to its dependents, level by level, in small parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from refinery_core.errors import QuestionTooLarge
from refinery_core.postgres.database import Database

MOST = 200_000
"""The most Vibes that are put in order in memory, nearest first."""

PAGE = 1_000
VIBES_AT_ONCE = 200
FEW = 50
"""The dependents of each Vibe that are read together with those of others; further ones are read alone."""

Line = tuple[list[str], list[int]]
"""Branches, and the last position that is seen of each."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A Vibe at the other end, by the shortest way; `floating` is about the last edge of it."""

    ref: str
    depth: int
    floating: bool


class Downwards:
    """The way down from one Vibe, or with a line of branches from every version of an id that it sees."""

    def __init__(self, database: Database, as_of: int, name: str, line: Line | None = None) -> None:
        self._database = database
        self._as_of = as_of
        self._name = name
        self._line = line

    async def direct(self, after: str, size: int) -> list[Dependency]:
        """The dependents that are one edge away, by ref, after one of them."""
        query = "direct_dependents" if self._line is None else "direct_dependents_of_id"
        rows = await self._database.fetch(query, self._name, self._as_of, after, size, *(self._line or ()))
        return [Dependency(*row) for row in rows]

    async def beyond(self) -> list[Dependency]:
        """
        The dependents that are further away, nearest first, then by ref.

        Raises:
            QuestionTooLarge: there are too many, or too many are one edge away.
        """
        level = {one.ref async for one in self._all_direct()}
        seen, beyond, depth = set(level), [], 1
        while level:
            depth += 1
            next_: dict[str, bool] = {}
            for some in _portions(sorted(level)):
                for ref, floating in await self._from(some):
                    if ref not in seen:
                        next_[ref] = floating or next_.get(ref, False)
                if len(seen) + len(next_) > MOST:
                    raise QuestionTooLarge
            seen.update(next_)
            level = set(next_)
            beyond += [Dependency(ref, depth, next_[ref]) for ref in sorted(next_)]
        return beyond

    async def _all_direct(self) -> AsyncIterator[Dependency]:
        last, count = "", 0
        while page := await self.direct(last, PAGE):
            last, count = page[-1].ref, count + len(page)
            if count > MOST:
                raise QuestionTooLarge
            for one in page:
                yield one

    async def _from(self, refs: list[str]) -> list[tuple[str, bool]]:
        """The direct dependents of some Vibes, and whether each reference floats; one may come twice."""
        rows = await self._database.fetch("dependents_of_some", refs, self._as_of, FEW)
        found = [(row["ref"], row["floating"]) for row in rows]
        counts = Counter(row["near"] for row in rows)
        for many in (near for near, count in counts.items() if count == FEW):
            last = max(row["ref"] for row in rows if row["near"] == many)
            while page := await self._database.fetch("direct_dependents", many, self._as_of, last, PAGE):
                found += [(row["ref"], row["floating"]) for row in page]
                if len(found) > MOST:
                    raise QuestionTooLarge
                last = page[-1]["ref"]
        return found


def _portions(refs: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(refs), VIBES_AT_ONCE):
        yield refs[start : start + VIBES_AT_ONCE]
