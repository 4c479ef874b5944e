"""The ledger proves itself: everything that can be derived is derived again from the rows, and compared.

Digests and chain are computed here in Python, not by the SQL that wrote them. What is not found is a
tail cut off whole, unless somebody kept a position and its chain: that is what `expect` is for.

The ledger is cut into stretches, each of which hangs on the link stored before it, so that several processes
can verify it from one snapshot; at most a few megabytes of it are in the memory of each.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import asyncpg

from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.verify_authority import Roles
from refinery_core.postgres.verify_child import Child, snapshot
from refinery_core.postgres.verify_rows import Finding, Report
from refinery_core.postgres.verify_stretch import AFTER_ALL, BEFORE_ALL, Stretch, ledger_id, verify_stretch

__all__ = ["Finding", "Report", "verify"]

STRETCH = 2_000
"""Refinements that are verified at a time."""

MOST_AT_ONCE = 4
"""Unless a number is given: PostgreSQL works as much as each of them."""

Known = tuple[int, bytes]
"""A position, and the chain that was answered for it once."""

Progress = Callable[[int, int], None]
"""Is told how many positions of how many are done."""

_Verifier = Callable[[Stretch], Awaitable[Report]]

_WHOLE = (
    ("verify_stray_edges", "edge", "comes from a Vibe that does not exist"),
    ("verify_stray_index", "branch index", "differs from the Vibe"),
    ("verify_branches", "branch", "differs from the Vibe that records it"),
    ("verify_role_index", "role index", "differs from the Role"),
)
"""A query over everything after a position, with the kind and the sentence of what it finds."""


async def verify(
    url: str,
    *,
    expect: Known | None = None,
    since: Known | None = None,
    parallel: int | None = None,
    progress: Progress = lambda _done, _all: None,
    stretch: int = STRETCH,
) -> Report:
    """
    Derive digests, chain, refs, edges, pins and rights again from one snapshot of the rows, and compare.

    Args:
        url: postgresql://… of any role that may read; the reader's suffices.
        expect: What must still be so.
        since: What was verified before: only what is behind it is looked at, and whether it is still so.
        parallel: How many stretches are verified at once; by default one a core, up to a few.
        progress: Is told how far it came.
        stretch: How many refinements a stretch has.

    Raises:
        asyncpg.PostgresError, OSError: The database cannot be read.
    """
    async with snapshot(url) as connection:
        report = Report(ledger=str(await ledger_id(connection)))
        start = since[0] if since else BEFORE_ALL
        last = await connection.fetchval(QUERIES["last_position"]) or 0
        all_ = max(0, last - max(0, start))
        stretches = await _stretches(connection, start, stretch)
        wanted = min(parallel or min(_cores(), MOST_AT_ONCE), len(stretches))
        async with _verifiers(connection, url, wanted) as verifiers:
            await _verify_all(
                report, verifiers, stretches, lambda done: progress(min(done * stretch, all_), all_)
            )
        for query, kind, sentence in _WHOLE:
            for row in await connection.fetch(QUERIES[query], start):
                report.find(kind, row["place"], sentence)
        for known in filter(None, (since, expect)):
            await _compare(connection, report, known)
        return report


async def _stretches(connection: asyncpg.Connection, start: int, size: int) -> list[Stretch]:
    """Stretches that cover everything behind a position, also what stands where nothing can."""
    seams = [row["position"] for row in await connection.fetch(QUERIES["verify_seams"], start, size)]
    return [*map(Stretch, [start, *seams], [*seams, AFTER_ALL])]


@asynccontextmanager
async def _verifiers(
    connection: asyncpg.Connection, url: str, wanted: int
) -> AsyncIterator[Sequence[_Verifier]]:
    """Give what verifies stretches: other processes that see the same snapshot, or the connection itself."""
    if wanted == 1:
        yield [partial(verify_stretch, connection, await Roles.read(connection))]
        return
    name = await connection.fetchval("select pg_export_snapshot()")
    children: list[Child] = []
    try:
        for _ in range(wanted):
            children.append(await Child.start(url, name))  # noqa: PERF401 - all are stopped
        yield [child.verify for child in children]
    finally:
        for child in children:
            await child.stop()


async def _verify_all(
    report: Report, verifiers: Sequence[_Verifier], stretches: Sequence[Stretch], done: Callable[[int], None]
) -> None:
    """Verify stretches side by side, and add up their reports in order."""
    idle: asyncio.Queue[_Verifier] = asyncio.Queue()
    for verifier in verifiers:
        idle.put_nowait(verifier)

    async def verified(stretch: Stretch) -> Report:
        verifier = await idle.get()
        told = await verifier(stretch)
        idle.put_nowait(verifier)
        return told

    ahead: deque[asyncio.Task[Report]] = deque()
    try:
        for number, stretch in enumerate(stretches):
            ahead.append(asyncio.create_task(verified(stretch)))
            while len(ahead) > 2 * len(verifiers) or (ahead and number + 1 == len(stretches)):
                report.add(await ahead[0])
                ahead.popleft()
                done(number + 1 - len(ahead))
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _compare(connection: asyncpg.Connection, report: Report, known: Known) -> None:
    """Whether the chain at a position is the one that was answered for it once."""
    position, chain = known
    stored = await connection.fetchval(QUERIES["verify_chain_at"], position)
    if stored is None:
        report.find("tail", f"position {position}", f"is missing: the ledger ends at {report.position}")
    elif stored != chain:
        report.find(
            "chain",
            f"position {position}",
            "is not the chain that was expected: what is before it was changed",
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
