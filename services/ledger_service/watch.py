"""Watches: everything after a position, in order, none missed and none twice, as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from ledger_service.candidates import Sized
from ledger_service.feed import Entry, Feed
from ledger_service.reads import MAX_INT4, REFINEMENTS_AT_ONCE, VIBES_AT_ONCE
from ledger_service.seen import seen_refinements, sees
from refinery_core.errors import Draining, PermissionDenied, PositionOutOfRange
from refinery_core.pages import Room
from refinery_core.postgres.refinements import refinement_from_row
from refinery_core.serving.drain import Drain
from refinery_core.serving.principal import Caller, current_caller
from refinery_core.stored.rights import Rights
from refinery_core.stored.vibes import Vibes, vibe_from_row
from refinery_core.vibe.model import Refinement, Vibe
from refinery_core.vibe.roles import Reader, Verb

HEARTBEAT_SECONDS = 10.0
PART_BYTES = 1 << 20
"""Bytes of Vibes after which a refinement goes on in another message."""
FIRST_WHOLE, MOST_WHOLE = 4, 64
"""Whole Vibes read at once: at first, and when they turned out to be small."""

M = TypeVar("M", bound=Sized)
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """A filter of Vibes; empty means any."""

    branch: str = ""
    id_prefix: str = ""

    def matching(self, vibes: tuple[Vibe, ...]) -> tuple[Vibe, ...]:
        """The Vibes that match."""
        if not self.branch and not self.id_prefix:
            return vibes
        return tuple(
            vibe
            for vibe in vibes
            if vibe.id.startswith(self.id_prefix) and (not self.branch or self.branch in vibe.branches)
        )


class Writing(Protocol[M, A_co]):
    """Writes Vibes (M) and answers (A). Equal ones write the same."""

    @property
    def full(self) -> bool:
        """Whether Vibes have their documents."""

    def vibe(self, vibe: Vibe) -> M:
        """Write a Vibe."""

    def news(self, position: int, refinement: Refinement | None, vibes: Sequence[M]) -> A_co:
        """Write the last position of the watch, and the Vibes that it saw there."""


async def watch(
    vibes: Vibes,
    feed: Feed,
    drain: Drain,
    after: int,
    filter_: WatchFilter,
    *,
    writing: Writing[M, A],
    rights: Rights,
) -> AsyncGenerator[A, None]:
    """
    Send all that was committed after a position, then all that is committed from now on.

    Raises:
        PermissionDenied: the caller may not read what is watched, or may no longer.
        Draining: the server stops, or the stream is old.
        PositionOutOfRange: the ledger does not reach that far.
    """
    last = await vibes.database.last_position()
    if after > last:
        raise PositionOutOfRange(field="after_position", position=after, last=last)
    if filter_.branch:
        await vibes.check_branch(filter_.branch)
    with feed.followed(last) as news:
        draining = asyncio.ensure_future(drain.wait())
        draining.add_done_callback(lambda _: news.set())
        try:
            watching = _Watch(vibes, feed, drain, filter_, writing, rights, current_caller())
            async with aclosing(watching.answers(after, news)) as answers:
                async for answer in answers:
                    yield answer
        finally:
            draining.cancel()


@dataclass(frozen=True, slots=True)
class _Watch(Generic[M, A]):
    vibes: Vibes
    feed: Feed
    drain: Drain
    filter_: WatchFilter
    writing: Writing[M, A]
    rights: Rights
    caller: Caller

    async def answers(self, after: int, news: asyncio.Event) -> AsyncGenerator[A, None]:
        """The answers of a watch, with a heartbeat after a while without a match."""
        now = asyncio.get_running_loop().time
        sent = now()
        async for seen in self._seen(after, news):
            if self.drain.begun:
                raise Draining
            reader = await self._reader()
            if isinstance(seen, Entry) and not reader.everything:
                seen = await self._readable(seen, reader) or seen.position  # noqa: PLW2901 - it is what is seen
            if isinstance(seen, Entry):
                async for answer in self._written(seen):
                    await self.feed.turn(seen.position)
                    yield answer
                    sent = now()
                    if self.drain.begun:
                        raise Draining
            elif now() - sent >= HEARTBEAT_SECONDS:
                yield self.writing.news(seen, None, ())
                sent = now()

    async def _reader(self) -> Reader:
        """The caller's right to read, now; a watch that can see nothing any more ends."""
        reader = await self.rights.reader(self.caller)
        if not reader.may_see(self.filter_.id_prefix, self.filter_.branch):
            raise PermissionDenied(
                principal=self.caller.principal,
                verb=Verb.READ,
                id=f"{self.filter_.id_prefix}**",
                branch=self.filter_.branch or "**",
                role="any Role",
                problem="none in force that it holds lets it read there",
            )
        return reader

    async def _readable(self, entry: Entry, reader: Reader) -> Entry | None:
        """A refinement as far as it may be read, with those of its Vibes that may; None where none may."""
        vibes = tuple(vibe for vibe in entry.vibes if sees(reader, vibe))
        if not vibes:
            return None
        (refinement,) = await seen_refinements(self.vibes.database, reader, [entry.refinement])
        return None if refinement is None else Entry(refinement, vibes)

    async def _seen(self, after: int, news: asyncio.Event) -> AsyncGenerator[Entry | int, None]:
        """Refinements with their matching Vibes, or the position reached, from the feed or the database."""
        while True:
            news.clear()
            entry = self.feed.entry(after + 1)
            if entry is not None:
                after = entry.position
                yield self._matching(entry) or after
            elif after < self.feed.end and not self.drain.begun:
                until = self.feed.gap_after(after)
                async for seen in self._stored(after, until):
                    yield seen
                after = until
            else:
                if not self.drain.begun:
                    await news.wait()
                yield after

    def _matching(self, entry: Entry) -> Entry | None:
        matching = self.filter_.matching(entry.vibes)
        if len(matching) == len(entry.vibes):
            return entry
        return Entry(entry.refinement, matching) if matching else None

    async def _stored(self, after: int, until: int) -> AsyncGenerator[Entry | int, None]:
        branches = [self.filter_.branch] if self.filter_.branch else []
        key, matching, ended = (after, MAX_INT4), dict[int, list[Vibe]](), False
        while not ended:
            rows = await self._read(
                "watch_vibes", *key, VIBES_AT_ONCE, until, branches, self.filter_.id_prefix
            )
            for row in rows:
                if row["ref"] is not None:
                    matching.setdefault(row["at"], []).append(vibe_from_row(row))
            if rows:
                key = rows[-1]["at"], rows[-1]["nth"]
            ended = len(rows) < VIBES_AT_ONCE or key[0] > until
            whole = [position for position in matching if ended or position < key[0]]
            async for entry in self._refined({position: matching.pop(position) for position in whole}):
                yield entry
            yield until if ended else key[0] - 1

    async def _refined(self, vibes: dict[int, list[Vibe]]) -> AsyncGenerator[Entry, None]:
        positions = list(vibes)
        for start in range(0, len(positions), REFINEMENTS_AT_ONCE):
            some = positions[start : start + REFINEMENTS_AT_ONCE]
            for row in await self._read("refinements_at", some):
                yield Entry(refinement_from_row(row), tuple(vibes.pop(row["position"])))

    async def _written(self, entry: Entry) -> AsyncGenerator[A, None]:
        """The answers for one refinement. Without documents, all watches of everything share them."""
        if self.writing.full or entry.answers is None:
            vibes = self._whole(entry.vibes) if self.writing.full else _each(entry.vibes)
            async for answer in self._parts(entry.refinement, vibes):
                yield answer
            return
        if self.writing not in entry.answers:
            parts = self._parts(entry.refinement, _each(entry.vibes))
            entry.answers[self.writing] = tuple([answer async for answer in parts])
        for answer in entry.answers[self.writing]:
            yield answer

    async def _parts(
        self, refinement: Refinement, vibes: AsyncGenerator[Vibe, None]
    ) -> AsyncGenerator[A, None]:
        """One message, or more of bounded size, of which only the last one carries the position."""
        part, room = list[M](), Room(PART_BYTES)
        async for vibe in vibes:
            message = self.writing.vibe(vibe)
            if not room.takes(size := message.ByteSize()):
                yield self.writing.news(refinement.position - 1, refinement, part)
                part, room = [], Room(PART_BYTES)
                room.takes(size)
            part.append(message)
        yield self.writing.news(refinement.position, refinement, part)

    async def _whole(self, vibes: tuple[Vibe, ...]) -> AsyncGenerator[Vibe, None]:
        """The Vibes with their documents: some are read at once into the cache, and only one is held here."""
        count = FIRST_WHOLE
        for place, vibe in enumerate(vibes):
            whole = self.vibes.cached(vibe.ref)
            if whole is None:
                refs = [one.ref for one in vibes[place : place + count]]
                read = await self.feed.patiently(partial(self.vibes.by_names, refs))
                whole = read[vibe.ref]
                count = max(1, min(MOST_WHOLE, PART_BYTES // max(map(_size, read.values()))))
                del read
            yield whole

    async def _read(self, query: str, *arguments: Any) -> list[Any]:
        return await self.feed.patiently(partial(self.vibes.database.fetch, query, *arguments))


async def _each(vibes: tuple[Vibe, ...]) -> AsyncGenerator[Vibe, None]:
    for vibe in vibes:
        yield vibe


def _size(vibe: Vibe) -> int:
    return 1_000 + sum(len(text) for text in (vibe.context, vibe.schema, vibe.solution) if text)
