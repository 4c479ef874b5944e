"""Reads a stretch of the ledger, some megabytes at a time, and has its rows compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import asyncpg

from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.verify_authority import Made, Roles, verify_authority
from refinery_core.postgres.verify_rows import (
    Derived,
    Link,
    Report,
    Row,
    compare_edges,
    verify_digest,
    verify_refinement,
    verify_vibe,
)

REFINEMENTS_AT_ONCE = 200
SIZES_AT_ONCE = 1_000
PAGE_BYTES = 4 << 20
"""Of Vibes that are read together, as weighed by `_weight`."""

BEFORE_ALL, AFTER_ALL = -(2**63), 2**63 - 1
_LAST_ORDINAL = 2**31 - 1
_BY_SETS = (
    ("verify_index", "branch index", "differs from the Vibe"),
    ("verify_numbers", "revision", "does not follow the number before it"),
    ("verify_types", "type", "changes from one version to another"),
)
"""A query over a stretch, with the kind and the sentence of what it finds."""


class Stretch(NamedTuple):
    """The positions after one and up to another."""

    after: int
    until: int


@dataclass(slots=True)
class _Vibes:
    """The digests of the Vibes of a refinement, and, where a right was judged, what they are."""

    digests: list[bytes] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)


class _Page(NamedTuple):
    """Vibes that are read together; each end is a position and an ordinal."""

    first: tuple[int, int]
    last: tuple[int, int]


async def verify_stretch(connection: asyncpg.Connection, roles: Roles, stretch: Stretch) -> Report:
    """Derive again what stands in a stretch, and compare; it hangs on the link that is stored before it."""
    report = Report()
    row = await connection.fetchrow(QUERIES["verify_before"], stretch.after)
    link = Link.of(row) if row else Link.before_all(await ledger_id(connection))
    report.position, report.chain = link.position, link.chain
    after, is_last = stretch.after, False
    while not is_last:
        rows = await connection.fetch(
            QUERIES["verify_refinements"], after, stretch.until, REFINEMENTS_AT_ONCE
        )
        is_last = len(rows) < REFINEMENTS_AT_ONCE
        part = Stretch(after, stretch.until if is_last else rows[-1]["position"])
        made = await _verify_vibes(connection, report, part, rows)
        executions = await _executions(connection, rows)
        for row in rows:
            vibes = made[row["position"]]
            link = verify_refinement(report, link, row, vibes.digests)
            verify_authority(report, roles, row, vibes.made, executions)
        after = part.until
    for query, kind, sentence in _BY_SETS:
        for row in await connection.fetch(QUERIES[query], *stretch):
            report.find(kind, row["place"], sentence)
    return report


async def ledger_id(connection: asyncpg.Connection) -> UUID:
    """Which ledger this is; the nil UUID, which no link hangs on, where somebody took that away."""
    id_: UUID | None = await connection.fetchval(QUERIES["ledger_id"])
    return id_ or UUID(int=0)


async def _verify_vibes(
    connection: asyncpg.Connection, report: Report, part: Stretch, rows: Sequence[Row]
) -> defaultdict[int, _Vibes]:
    """Verify the Vibes of a part, and give by position what its refinement is compared with."""
    refinements = {row["position"]: row for row in rows}
    made: defaultdict[int, _Vibes] = defaultdict(_Vibes)
    last, is_last = (part.after, _LAST_ORDINAL), False
    while not is_last:
        sizes = await connection.fetch(QUERIES["verify_sizes"], *part, *last, SIZES_AT_ONCE)
        is_last = len(sizes) < SIZES_AT_ONCE
        for page in _pages(sizes):
            await _verify_page(connection, report, page, refinements, made)
            last = page.last
    return made


async def _verify_page(
    connection: asyncpg.Connection,
    report: Report,
    page: _Page,
    refinements: Mapping[int, Row],
    made: defaultdict[int, _Vibes],
) -> None:
    vibes = await connection.fetch(QUERIES["verify_vibes"], *page.first, *page.last)
    rows = await connection.fetch(QUERIES["verify_inputs"], page.first[0], page.last[0])
    inputs = {row["position"]: row for row in rows}
    derived = [Derived(vibe, inputs.get(vibe["position"])) for vibe in vibes]
    edges = await connection.fetch(QUERIES["verify_edges"], [vibe["ref"] for vibe in vibes])
    compare_edges(report, derived, edges)
    del edges
    named = list(set().union(*(each.named for each in derived)))
    known = {row["ref"]: row for row in await connection.fetch(QUERIES["verify_digests"], named)}
    for each in derived:
        position, ref = each.vibe["position"], each.vibe["ref"]
        report.vibes += 1
        if position not in refinements:
            report.find("vibe", ref, "stands at a position without refinement")
            continue
        verify_vibe(report, refinements[position], each, len(made[position].digests))
        verify_digest(report, each, known)
        made[position].digests.append(each.vibe["digest"])
        if refinements[position]["held_as"] is not None:
            made[position].made.append(Made.of(each.vibe))


async def _executions(connection: asyncpg.Connection, rows: Sequence[Row]) -> dict[str, Row]:
    """The Vibes that refinements name as their execution, by ref."""
    refs = list({row["behalf_ref"] for row in rows} - {None})
    found = await connection.fetch(QUERIES["verify_executions"], refs) if refs else []
    return {row["ref"]: row for row in found}


def _pages(sizes: Iterable[Row]) -> Iterator[_Page]:
    """Cut Vibes into pages that take a few megabytes, or are one Vibe."""
    page, weight = None, 0
    for row in sizes:
        place, more = (row["position"], row["ordinal"]), _weight(row)
        if page is not None and weight + more > PAGE_BYTES:
            yield page
            page, weight = None, 0
        page, weight = _Page(page.first if page else place, place), weight + more
    if page is not None:
        yield page


def _weight(row: Row) -> int:
    """The weight of a Vibe once it is read: a pin in a schema becomes an edge, and so does each input."""
    documents = (row["context"] or 0) + 8 * (row["schema"] or 0) + (row["solution"] or 0)
    return int(documents + 1_000 * (row["inputs"] or 0) + 1_000)
