"""The latest versions that reach an id through schema edges, as a branch sees them, nearest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from refinery_core.postgres.database import Database
from refinery_core.stored.moments import Moment

EDGES_AT_ONCE = 1_000
FEW = 20
"""Edges to a version, up to which it is read together with others."""


@dataclass(frozen=True, slots=True)
class Reaching:
    """A latest version, and the number of edges that it is away."""

    ref: str
    depth: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A version and the number of edges that lead to it; the id itself at the start, without a ref."""

    id: str
    ref: str | None = None
    latest: bool = True
    edges: int = FEW + 1

    def is_met_by(self, edge: asyncpg.Record) -> bool:
        """Whether an edge to the id leads here: a floating one leads to the latest, whatever its pin."""
        return self.ref is None or edge["to_ref"] == self.ref or (self.latest and edge["floating"])


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

    async def walk(self) -> AsyncIterator[list[Reaching]]:
        """Give the versions that are reached, some at a time."""
        frontier, depth = [_Node(self._id)], 0
        while frontier:
            nodes, frontier, depth = frontier, [], depth + 1
            for some in _together(nodes):
                async for edges in self._edges(some):
                    found, beyond = await self._visit(edges, depth)
                    frontier += beyond
                    if found:
                        yield found
                    if self.truncated:
                        return

    async def _edges(self, nodes: Sequence[_Node]) -> AsyncIterator[Sequence[asyncpg.Record]]:
        """The edges to a version that has many, a page at a time, or all edges to several that have few."""
        if nodes[0].edges > FEW:
            (node,) = nodes
            key: tuple[int, str, str] = (self._moment.position + 1, "", "")
            while rows := await self._page(node, *key):
                yield [edge for edge in rows if node.is_met_by(edge)]
                key = rows[-1]["position"], rows[-1]["ref"], rows[-1]["to_ref"]
            return
        latest = {node.id: node for node in nodes if node.latest}
        refs = [node.ref for node in nodes if not node.latest]
        rows = await self._database.fetch("edges_to_some", list(latest), refs, self._moment.position)
        yield [e for e in rows if e["to_ref"] in refs or latest[e["to_id"]].is_met_by(e)]

    async def _page(self, node: _Node, position: int, ref: str, to: str) -> list[asyncpg.Record]:
        """The edges to a version that come after one."""
        if node.latest:
            return await self._database.fetch("edges_to_id", node.id, position, ref, to, EDGES_AT_ONCE)
        return await self._database.fetch("edges_to_ref", node.ref, position, ref, EDGES_AT_ONCE)

    async def _visit(self, edges: Sequence[asyncpg.Record], depth: int) -> tuple[list[Reaching], list[_Node]]:
        """The latest versions that are met for the first time, and the nodes from which the walk goes on."""
        new = {e["ref"]: e["id"] for e in edges if e["ref"] not in self._visited and e["id"] != self._id}
        found: list[Reaching] = []
        beyond: list[_Node] = []
        for ref, latest, used in await self._standing(new):
            if not latest and not used:
                continue
            if len(self._visited) == self._limit:
                self.truncated = True
                break
            self._visited.add(ref)
            if latest:
                found.append(Reaching(ref, depth))
            if used:
                beyond.append(_Node(new[ref], ref, latest, used))
        return found, beyond

    async def _standing(self, versions: Mapping[str, str]) -> list[asyncpg.Record]:
        if not versions:
            return []
        where = self._moment.branch, self._moment.position
        return await self._database.fetch("standing", [*versions], [*versions.values()], *where, FEW + 1)


def _together(nodes: Iterable[_Node]) -> Iterator[list[_Node]]:
    """Groups of nodes: each with many edges alone, the others until they have a page of edges together."""
    some: list[_Node] = []
    count = 0
    for node in nodes:
        if node.edges > FEW:
            yield [node]
            continue
        if some and count + node.edges > EDGES_AT_ONCE:
            yield some
            some, count = [], 0
        some.append(node)
        count += node.edges
    if some:
        yield some
