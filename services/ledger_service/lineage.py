"""Lineage: the edges walked up (what made this?) or down (what came of this?), nearest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from refinery_core.errors import RefineryError
from refinery_core.postgres.database import Database
from refinery_core.stored.rights import hidden
from refinery_core.vibe.model import EdgeType, Vibe
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

MAX_DEPTH = 100
DEFAULT_VIBES = 10_000
MAX_VIBES = 100_000
EDGES_PER_PART = 1_000
PART_BYTES = 2 << 20
"""Bytes of edges of one Vibe in one part; further edges go on in the next."""
EDGES_PER_VIBE = 2
"""Edges read at first for each Vibe that may still be reached."""
MORE_EDGES = 8
"""The factor by which more edges are read where those were not enough."""
MAX_EDGES = 8 * MAX_VIBES
"""The most edges that one step of the walk reads; a walk that meets more is cut, and says so."""
SEEN_PER_VIBE = 2
"""Of the Vibes reached before, so many for each to go on from are left out in the database already."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk: its direction, its types of edges, its limits, and the last position that it sees."""

    up: bool
    types: tuple[EdgeType, ...]
    max_depth: int
    max_vibes: int
    as_of: int


@dataclass(frozen=True, slots=True)
class Part:
    """
    Some Vibes that are equally far away, as the edges that join them to Vibes one step nearer to the start.

    An edge is a row of queries/lineage.sql; those of one Vibe stand together, all in one part unless they are
    too many for a message. `truncated`, in the last part, says that a limit cut the walk. `hidden` has those
    that may not be read, with their digests.
    """

    depth: int
    edges: list[asyncpg.Record]
    truncated: bool = False
    hidden: Mapping[str, bytes] = field(default_factory=dict)


async def trace(
    database: Database, start: Vibe, walk: Walk, reader: Reader = READS_EVERYTHING
) -> AsyncGenerator[Part, None]:
    """
    Walk from a Vibe level by level; every other Vibe is reached once, by its shortest way.

    Of one level the youngest come first upwards, the oldest downwards. The database looks for the next level
    while this one is being sent. A Vibe that may not be read is not walked beyond; downwards it is left out.
    """
    visited, frontier, depth, truncated = {start.ref: None}, [start.ref], 0, False
    looking = asyncio.create_task(_look(database, walk, frontier, visited))
    try:
        while frontier and not truncated:
            depth += 1
            edges, frontier, truncated = await looking
            if depth > walk.max_depth:
                truncated = bool(frontier)
                break
            unseen = await hidden(database, reader, frontier)
            if unseen:
                visited.update(dict.fromkeys(unseen))
                frontier = [ref for ref in frontier if ref not in unseen]
                edges = edges if walk.up else [edge for edge in edges if edge[1] not in unseen]
            visited.update(dict.fromkeys(frontier))
            if frontier and not truncated:
                looking = asyncio.create_task(_look(database, walk, frontier, visited))
            for some in _portions(edges):
                yield Part(depth, some, hidden=unseen)
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError, RefineryError):
            await looking
    yield Part(depth, [], truncated)


async def _look(
    database: Database, walk: Walk, frontier: list[str], visited: dict[str, None]
) -> tuple[list[asyncpg.Record], list[str], bool]:
    """The edges to Vibes one step further, these Vibes, and whether a limit cut them."""
    room = walk.max_vibes - len(visited)
    limit = (room + 1) * EDGES_PER_VIBE + len(visited)
    query = "edges_up" if walk.up else "edges_down"
    seen = list(visited)[-SEEN_PER_VIBE * len(frontier) :]
    first = len(seen) - len(frontier) + 1
    while True:
        rows = await database.fetch(query, seen, first, walk.types, walk.as_of, limit)
        edges = [row for row in rows if row[1] is not None and row[1] not in visited]
        reached = list(dict.fromkeys(row[1] for row in edges))
        if len(reached) > room:
            end = next(at for at, row in enumerate(edges) if row[1] == reached[room])
            return edges[:end], reached[:room], True
        cut = rows[0]["count"] == limit
        if not cut or limit >= MAX_EDGES:
            return edges, reached, cut
        limit = min(limit * MORE_EDGES, MAX_EDGES)


def _portions(edges: list[asyncpg.Record]) -> Iterator[list[asyncpg.Record]]:
    """The edges of one part; a Vibe is divided only where its edges alone do not fit."""
    start = 0
    while start < len(edges):
        end = start + EDGES_PER_PART
        if end < len(edges) and edges[end][1] == edges[end - 1][1]:
            end = _end_of_vibe(edges, start, end)
        yield edges[start:end]
        start = end


def _end_of_vibe(edges: list[asyncpg.Record], start: int, end: int) -> int:
    """The end of the edges of the last Vibe of a part, or the place where they have to be divided."""
    size = sum(map(_size, edges[start:end]))
    while end < len(edges) and edges[end][1] == edges[end - 1][1] and size < PART_BYTES:
        size += _size(edges[end])
        end += 1
    return end


def _size(edge: asyncpg.Record) -> int:
    return len(edge[0]) + len(edge[1])
