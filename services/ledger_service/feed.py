"""The feed: the last refinements, read once for all watches, and kept in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import structlog

from ledger_service.notifications import Notifications
from ledger_service.reads import MAX_INT4, REFINEMENTS_AT_ONCE, VIBES_AT_ONCE
from refinery_core.errors import DatabaseUnavailable, Overloaded, RefineryError
from refinery_core.postgres.database import NOW, Database
from refinery_core.postgres.pool import Pool
from refinery_core.postgres.refinements import refinement_from_row
from refinery_core.stored.vibes import vibe_from_row
from refinery_core.vibe.model import Refinement, Vibe

POLL_SECONDS = 0.25
"""The delay until a commit of another process is seen whose notification was lost."""
TICK_SECONDS = 1.0
"""The interval at which idle watches are woken, to see whether a heartbeat is due."""
KEPT_REFINEMENTS = 1_000
KEPT_BYTES = 32 << 20
LARGEST_BYTES = 4 << 20
"""A larger refinement is not kept: each watch reads it from the database."""
WOKEN_AT_ONCE = 16
"""Watches that are woken in one turn of the loop."""
SENT_AT_ONCE = 2
"""Answers of watches that are sent in one turn of the loop."""
GIVE_WAY_SECONDS = 0.004
"""The pause between two such turns while a refine is under way, if more than that wait."""
FAR_BEHIND = 500
"""A watch that is so many refinements behind gives way no more: it would leave the memory of the feed."""
READS_AT_ONCE = 2
"""Reads of all watches together: the rest of the pool is for all other calls."""
READ_PATIENCE_SECONDS = 40.0
"""The time that a watch waits for a database that is away; a client waits 45 s for the next message."""

T = TypeVar("T")

_log = structlog.get_logger("refinery.feed")


@dataclass(eq=False, slots=True)
class Entry:
    """A refinement with its Vibes in the BASIC view, in the order of the drafts."""

    refinement: Refinement
    vibes: tuple[Vibe, ...]
    answers: dict[object, tuple[Any, ...]] | None = None
    """The answers that all watches of everything share, by how they are written; None: it is not shared."""

    @property
    def position(self) -> int:
        """Its place in the ledger."""
        return self.refinement.position


class Feed:
    """
    The last refinements, in order, none missed and none twice. It reads only while there are watches.

    A watch follows at its own pace: it reads from the database what the feed no longer holds.
    """

    def __init__(self, database: Database, sessions: Pool | None) -> None:
        """Read from a database; listen for notifications on a session of a pool, if there is one."""
        self._database = database
        self._entries: OrderedDict[int, tuple[Entry, int]] = OrderedDict()
        self._room = KEPT_BYTES
        self._followers: set[asyncio.Event] = set()
        self._followed = asyncio.Event()
        self._grown = asyncio.Event()
        self._places = asyncio.Semaphore(READS_AT_ONCE)
        self._waiting = deque[asyncio.Future[None]]()
        self._refining = 0
        self._notifications = Notifications(sessions, self._heard)
        self._following = asyncio.create_task(self._follow_for_ever())
        self._ticking = asyncio.create_task(self._tick_for_ever())
        self.end = 0
        """The last position of the feed."""

    async def aclose(self) -> None:
        """Stop."""
        for task in (self._following, self._ticking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._notifications.aclose()

    def committed(self, position: int) -> None:
        """Tell the feed that this process committed up to a position: call it after COMMIT returned."""
        self._heard(position)
        self._notifications.tell(position)

    @contextmanager
    def followed(self, last: int) -> Iterator[asyncio.Event]:
        """
        Give an event that is set when there may be news. Clear it, then look, then wait.

        Args:
            last: The end of the ledger, as was just read: the feed begins there for the first watch.
        """
        news = asyncio.Event()
        if not self._followers:
            self.end = last
            self._followed.set()
        self._followers.add(news)
        try:
            yield news
        finally:
            self._followers.discard(news)
            if not self._followers:
                self._followed.clear()
                self._entries.clear()
                self._room = KEPT_BYTES

    def entry(self, position: int) -> Entry | None:
        """The refinement at a position, if the feed holds it."""
        kept = self._entries.get(position)
        return kept and kept[0]

    def gap_after(self, position: int) -> int:
        """The position up to which a watch has to read from the database, because the feed begins later."""
        return min((kept for kept in self._entries if kept > position), default=self.end + 1) - 1

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """Let watches give way to a refine: however many there are, it waits for few answers."""
        self._refining += 1
        try:
            yield
        finally:
            self._refining -= 1

    async def turn(self, position: int) -> None:
        """Wait for the turn to send the answer at a position; a watch that is far behind does not wait."""
        if self.end - position > FAR_BEHIND:
            return
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._give_turns)
        self._waiting.append(waiting)
        await waiting

    def _give_turns(self) -> None:
        for _ in range(min(SENT_AT_ONCE, len(self._waiting))):
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
        if self._waiting:
            pause = GIVE_WAY_SECONDS if self._refining else 0
            asyncio.get_running_loop().call_later(pause, self._give_turns)

    async def patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """
        Read for a watch: few read at once, and while the database is away they wait for a while.

        Raises:
            RefineryError: the database stayed away.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READ_PATIENCE_SECONDS
        while True:
            try:
                async with self._places:
                    return await read()
            except (DatabaseUnavailable, Overloaded):
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)

    def _heard(self, position: int) -> None:
        if position > self.end or not position:
            self._grown.set()

    async def _follow_for_ever(self) -> None:
        while True:
            await self._followed.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._grown.wait(), POLL_SECONDS)
            self._grown.clear()
            try:
                await self._read_news()
            except RefineryError:
                await asyncio.sleep(POLL_SECONDS)  # The database is away, and the watches wait.
            except Exception:  # noqa: BLE001 - a mistake of ours is logged, and those who watch are not left alone
                _log.exception("the feed failed; it goes on")
                await asyncio.sleep(TICK_SECONDS)

    async def _read_news(self) -> None:
        while True:
            after = self.end
            rows = await self._database.fetch("list_refinements", after, REFINEMENTS_AT_ONCE, NOW)
            if not rows:
                return
            refinements = [refinement_from_row(row) for row in rows]
            vibes = await self._vibes_between(after, refinements[-1].position)
            if self.end != after:
                continue  # Meanwhile all watches ended, and a new one began.
            for refinement in refinements:
                self._keep(Entry(refinement, tuple(vibes[refinement.position]), answers={}))
                self.end = refinement.position
            await self._wake_all()
            if len(rows) < REFINEMENTS_AT_ONCE:
                return

    async def _vibes_between(self, after: int, until: int) -> dict[int, list[Vibe]]:
        found: dict[int, list[Vibe]] = {position: [] for position in range(after + 1, until + 1)}
        key = (after, MAX_INT4)
        while True:
            rows = await self._database.fetch("list_vibes", *key, VIBES_AT_ONCE, until)
            for row in rows:
                if row["at"] <= until:
                    found[row["at"]].append(vibe_from_row(row))
            if len(rows) < VIBES_AT_ONCE or rows[-1]["at"] > until:
                return found
            key = (rows[-1]["at"], rows[-1]["nth"])

    def _keep(self, entry: Entry) -> None:
        if not self._followers:
            return
        size = _size(entry)
        if size <= LARGEST_BYTES:
            self._entries[entry.position] = entry, size
            self._room -= size
        while self._room < 0 or len(self._entries) > KEPT_REFINEMENTS:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._room += dropped

    async def _wake_all(self) -> None:
        followers = iter(tuple(self._followers))
        while some := tuple(islice(followers, WOKEN_AT_ONCE)):
            for news in some:
                news.set()
            await asyncio.sleep(0)

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self._wake_all()


def _size(entry: Entry) -> int:
    """About how many bytes it takes, with the shared answers."""
    refinement = entry.refinement
    inputs = refinement.target_refs, refinement.instruction_refs, refinement.budget_refs
    vibes = ((vibe.schema_refs, vibe.branches) for vibe in entry.vibes)
    texts = sum(60 + 2 * len(text) for lists in (inputs, *vibes) for texts in lists for text in texts)
    return 2_000 + texts + sum(2_000 + 6 * len(vibe.ref) for vibe in entry.vibes)
