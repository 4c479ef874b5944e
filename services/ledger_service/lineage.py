"""Lineage: the edges walked up (what made this?) or down (what came of this?), nearest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

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


async def trace(database: Database, start: Vibe, walk: Walk) -> AsyncIterator[Part]:
    """Walk level by level; every Vibe is reached once, by its shortest way."""
    first = Step(start.ref, 0, start.type, start.position, ())
    yield Part((first,))
    visited, frontier, truncated = {start.ref}, [start.ref], False
    for depth in range(1, walk.max_depth + 1):
        level, cut = await _level(database, walk, frontier, visited, depth)
        truncated = truncated or cut
        steps = sorted(level, key=lambda step: (step.position, step.ref), reverse=walk.up)
        for index in range(0, len(steps), STEPS_PER_PART):
            yield Part(tuple(steps[index : index + STEPS_PER_PART]))
        frontier = [step.ref for step in steps]
        visited.update(frontier)
        if not frontier or truncated:
            break
    if frontier and not truncated:
        beyond, _ = await _level(database, walk, frontier, visited, walk.max_depth + 1)
        truncated = bool(beyond)
    yield Part((), truncated)


async def _level(
    database: Database, walk: Walk, frontier: list[str], visited: set[str], depth: int
) -> tuple[list[Step], bool]:
    """The Vibes one step further, and whether a limit cut them."""
    room = walk.max_vibes - len(visited)
    limit = (room + 1) * EDGES_PER_VIBE + len(visited)
    query = "edges_up" if walk.up else "edges_down"
    while True:
        rows = await database.fetch(query, frontier, list(walk.types), walk.as_of, limit)
        reached, cut = _reached(rows, walk, visited, room)
        if cut or len(rows) < limit or limit >= MAX_EDGES:
            return _steps(reached, depth), cut or len(rows) == limit
        limit = min(limit * EDGES_PER_VIBE, MAX_EDGES)


_Reached = dict[str, tuple[str, int, list[Edge]]]


def _reached(rows: list[asyncpg.Record], walk: Walk, visited: set[str], room: int) -> tuple[_Reached, bool]:
    """What some edges lead to, and whether there was no room for more."""
    reached: _Reached = {}
    for near, ref, type_, kind, position in rows:
        if ref in visited:
            continue
        edge = Edge(near, ref, _EDGE_TYPES[type_]) if walk.up else Edge(ref, near, _EDGE_TYPES[type_])
        known = reached.get(ref)
        if known is not None:
            known[2].append(edge)
        elif len(reached) < room:
            reached[ref] = (kind, position, [edge])
        else:
            return reached, True
    return reached, False


def _steps(reached: _Reached, depth: int) -> list[Step]:
    return [
        Step(ref, depth, VibeType(kind), position, tuple(edges))
        for ref, (kind, position, edges) in reached.items()
    ]


_EDGE_TYPES = {kind.value: kind for kind in EdgeType}
