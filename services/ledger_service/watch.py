"""Watches: everything after a position, in order, none missed and none twice, as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from ledger_service.notifications import Notifications
from ledger_service.reads import AFTER_ANY
from refinery_core.errors import Draining, PositionOutOfRange, RefineryError
from refinery_core.postgres.database import Database
from refinery_core.postgres.refinements import refinement_from_row
from refinery_core.postgres.vibes import Vibes, vibe_from_row
from refinery_core.serving.drain import Drain
from refinery_core.vibe.model import Refinement, Vibe

HEARTBEAT_SECONDS = 10.0
POLL_SECONDS = 0.25
PART_SIZE = 500
PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """What to watch; empty means any."""

    branch: str = ""
    id_prefix: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """One refinement with its Vibes that match, or, without one, how far the watch has come."""

    position: int
    refinement: Refinement | None = None
    vibes: tuple[Vibe, ...] = ()


class Feed:
    """Knows when the ledger grows: from this process's commits, from notifications, and by looking."""

    def __init__(self, database: Database) -> None:
        self._grown = asyncio.Event()
        self._notifications = Notifications(database, self._wake)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._notifications.aclose()

    def committed(self, position: int) -> None:
        """Say that this process has committed up to this position: call it when COMMIT has returned."""
        self._wake()
        self._notifications.tell(position)

    def next_growth(self) -> asyncio.Event:
        """What will be set when the ledger grows after now. Take it before looking, then wait for it."""
        return self._grown

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


async def watch(
    vibes: Vibes, feed: Feed, drain: Drain, after: int, filter_: WatchFilter, *, full: bool
) -> AsyncIterator[News]:
    """
    Send what was committed after a position, then what is committed from now on.

    Raises:
        Draining: the server stops.
        PositionOutOfRange: the ledger does not reach that far.
    """
    database = vibes.database
    last = await database.last_position()
    if after > last:
        raise PositionOutOfRange(field="after_position", position=after, last=last)
    if filter_.branch:
        await vibes.check_branch(filter_.branch)
    loop = asyncio.get_running_loop()
    sent = loop.time()
    while True:
        grown = feed.next_growth()
        last = await drain.or_result(_last_position(database, after))
        while after < last:
            until = min(after + PART_SIZE, last)
            async for news in _between(vibes, after, until, filter_, full=full):
                if drain.begun:
                    raise Draining
                yield news
                sent = loop.time()
            after = until
        if loop.time() - sent >= HEARTBEAT_SECONDS:
            yield News(after)
            sent = loop.time()
        with suppress(TimeoutError):
            await drain.or_result(asyncio.wait_for(grown.wait(), POLL_SECONDS))


async def _last_position(database: Database, known: int) -> int:
    """Where the ledger ends. While the database is away, watches wait."""
    try:
        return await database.last_position()
    except RefineryError:
        return known


async def _between(
    vibes: Vibes, after: int, until: int, filter_: WatchFilter, *, full: bool
) -> AsyncIterator[News]:
    branches = [filter_.branch] if filter_.branch else []
    prefix = filter_.id_prefix
    rows = await vibes.database.fetch("vibes_between", after, until, branches, prefix, prefix + AFTER_ANY)
    matching: dict[int, list[Vibe]] = {}
    for row in rows:
        matching.setdefault(row["position"], []).append(vibe_from_row(row))
    if not matching:
        return
    refinements = await vibes.database.fetch("list_refinements", after, until, PART_SIZE)
    for row in refinements:
        found = matching.get(row["position"])
        if found is None:
            continue
        refinement = refinement_from_row(row)
        async for part, is_last in _parts(vibes, found, full=full):
            yield News(refinement.position if is_last else refinement.position - 1, refinement, part)


async def _parts(
    vibes: Vibes, found: list[Vibe], *, full: bool
) -> AsyncIterator[tuple[tuple[Vibe, ...], bool]]:
    """The Vibes of one refinement in messages of bounded size."""
    part: list[Vibe] = []
    size = 0
    for vibe in found:
        whole = (await vibes.by_names([vibe.ref]))[vibe.ref] if full else vibe
        bytes_ = 1_000 + sum(len(text) for text in (whole.context, whole.schema, whole.solution) if text)
        if part and size + bytes_ > PART_BYTES:
            yield tuple(part), False
            part, size = [], 0
        part.append(whole)
        size += bytes_
    yield tuple(part), True
