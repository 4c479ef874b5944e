"""Who reaches an id through schema edges: the latest versions that a branch sees, nearest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg

from refinery_core.postgres.database import Database
from resolver_service.moments import Moment

EDGES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Reaching:
    """A latest version, and how many edges it is away."""

    ref: str
    depth: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A version that others may refer to; the id itself at the start."""

    query: str
    name: str
    last: tuple[str, ...] = ()


class Reach:
    """
    One walk down from an id, level by level.

    It goes on through versions that are not the latest too, where a schema refers to them: a latest version
    may have pinned one. At most `limit` versions are looked at; `truncated` says whether there were more.
    """

    def __init__(self, database: Database, id_: str, moment: Moment, limit: int) -> None:
        self.truncated = False
        self._database = database
        self._id = id_
        self._moment = moment
        self._limit = limit
        self._visited: set[str] = set()
        self._chain: tuple[list[str], list[int]] = ([], [])

    async def walk(self) -> AsyncIterator[list[Reaching]]:
        """Give what is reached, some at a time."""
        rows = await self._database.fetch("branch_chain", self._moment.branch, self._moment.position)
        self._chain = ([row["name"] for row in rows], [row["seen_until"] for row in rows])
        frontier, depth = [_Node("edges_to_id", self._id)], 0
        while frontier:
            nodes, frontier, depth = frontier, [], depth + 1
            for node in nodes:
                async for edges in self._edges(node):
                    found, beyond = await self._visit(edges, depth)
                    frontier += beyond
                    if found:
                        yield found
                    if self.truncated:
                        return

    async def _edges(self, node: _Node) -> AsyncIterator[Sequence[asyncpg.Record]]:
        position, ref = 0, ""
        while True:
            rows = await self._database.fetch(
                node.query, node.name, self._moment.position, position, ref, EDGES_AT_ONCE, *node.last
            )
            if rows:
                yield rows
            if len(rows) < EDGES_AT_ONCE:
                return
            position, ref = rows[-1]["position"], rows[-1]["ref"]

    async def _visit(self, edges: Sequence[asyncpg.Record], depth: int) -> tuple[list[Reaching], list[_Node]]:
        """Those met for the first time: the latest versions, and where the walk goes on."""
        new = {e["ref"]: e for e in edges if e["ref"] not in self._visited and e["id"] != self._id}
        columns = list(new), [e["id"] for e in new.values()], [e["revision"] for e in new.values()]
        found: list[Reaching] = []
        beyond: list[_Node] = []
        for ref, latest, used in await self._database.fetch("standing", *columns, *self._chain):
            if not latest and not used:
                continue
            if len(self._visited) == self._limit:
                self.truncated = True
                break
            self._visited.add(ref)
            if latest:
                found.append(Reaching(ref, depth))
            if used:
                id_ = new[ref]["id"]
                beyond.append(_Node("edges_to_latest", id_, (ref,)) if latest else _Node("edges_to_ref", ref))
        return found, beyond
