"""Lineage: the edges walked up (what made this?) or down (what came of this?), nearest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from refinery_core.errors import RefineryError
from refinery_core.postgres.database import Database
from refinery_core.vibe.model import Edge, EdgeType, Vibe, VibeType

MAX_DEPTH = 100
DEFAULT_VIBES = 10_000
MAX_VIBES = 100_000
STEPS_PER_PART = 1_000
EDGES_PER_VIBE = 8
"""Edges read at first for each Vibe that may still be reached."""
MAX_EDGES = EDGES_PER_VIBE * MAX_VIBES
"""Edges read for one step of the walk, at the most; a walk that meets more is cut, and says so."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How to walk: which way, over which edges, how far, and what not to see."""

    up: bool
    types: tuple[EdgeType, ...]
    max_depth: int
    max_vibes: int
    as_of: int


@dataclass(frozen=True, slots=True)
class Step:
    """A Vibe that the walk reached, and the edges that join it to Vibes one step nearer to the start."""

    ref: str
    depth: int
    type: VibeType
    position: int
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some steps, nearest first. `truncated`, in the last part, says that a limit cut the walk."""

    steps: tuple[Step, ...]
    truncated: bool = False


async def trace(database: Database, start: Vibe, walk: Walk) -> AsyncGenerator[Part, None]:
    """
    Walk level by level; every Vibe is reached once, by its shortest way.

    The database looks for the next level while this one is being sent.
    """
    yield Part((Step(start.ref, 0, start.type, start.position, ()),))
    visited, frontier, depth, truncated = {start.ref}, [start.ref], 0, False
    looking = asyncio.create_task(_look(database, walk, frontier, visited))
    try:
        while frontier and not truncated:
            depth += 1
            reached, truncated = await looking
            if depth > walk.max_depth:
                truncated = bool(reached)
                break
            frontier = list(reached)
            visited.update(frontier)
            if frontier and not truncated:
                looking = asyncio.create_task(_look(database, walk, frontier, visited))
            for part in _parts(reached, walk, depth):
                yield part
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError, RefineryError):
            await looking
    yield Part((), truncated)


async def _look(
    database: Database, walk: Walk, frontier: list[str], visited: set[str]
) -> tuple[_Reached, bool]:
    """The Vibes one step further, and whether a limit cut them."""
    room = walk.max_vibes - len(visited)
    limit = (room + 1) * EDGES_PER_VIBE + len(visited)
    query = "edges_up" if walk.up else "edges_down"
    while True:
        rows = await database.fetch(query, frontier, list(walk.types), walk.as_of, limit)
        reached, cut = _reached(rows, visited, room)
        if cut or len(rows) < limit or limit >= MAX_EDGES:
            return reached, cut or len(rows) == limit
        limit = min(limit * EDGES_PER_VIBE, MAX_EDGES)


_Reached = dict[str, list[asyncpg.Record]]
"""The edges by the Vibe that they reach: near ref, far ref, type; type and position of the far Vibe."""


def _reached(rows: list[asyncpg.Record], visited: set[str], room: int) -> tuple[_Reached, bool]:
    """What some edges lead to for the first time, and whether there was no room for more."""
    reached: _Reached = {}
    for row in rows:
        ref = row[1]
        if ref in visited:
            continue
        known = reached.get(ref)
        if known is not None:
            known.append(row)
        elif len(reached) < room:
            reached[ref] = [row]
        else:
            return reached, True
    return reached, False


def _parts(reached: _Reached, walk: Walk, depth: int) -> Iterator[Part]:
    """The Vibes of one level: upwards the youngest first, downwards the oldest."""
    level = sorted(reached.items(), key=lambda item: (item[1][0][4], item[0]), reverse=walk.up)
    for at in range(0, len(level), STEPS_PER_PART):
        yield Part(tuple(_step(ref, rows, walk, depth) for ref, rows in level[at : at + STEPS_PER_PART]))


def _step(ref: str, rows: list[asyncpg.Record], walk: Walk, depth: int) -> Step:
    if walk.up:
        edges = [Edge(near, ref, _EDGE_TYPES[kind]) for near, _, kind, _, _ in rows]
    else:
        edges = [Edge(ref, near, _EDGE_TYPES[kind]) for near, _, kind, _, _ in rows]
    return Step(ref, depth, _VIBE_TYPES[rows[0][3]], rows[0][4], tuple(edges))


_EDGE_TYPES = {kind.value: kind for kind in EdgeType}
_VIBE_TYPES = {kind.value: kind for kind in VibeType}
