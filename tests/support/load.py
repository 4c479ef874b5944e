"""Many clients that refine without pause, and remember their answers."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import asyncpg

from refinery_client import Draft, Refine, Refined, Refinery
from refinery_core.postgres.verify import verify
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.support.waiting import PATIENCE

AUTHOR = "main@system/genesis?1"
CLIENTS = 18
STREAM_IN_FLIGHT = 8
IDS = 8


class Load:
    """Clients in a thread of their own, so that starting and killing servers does not hold them up."""

    def __init__(self, address: str, clients: int = CLIENTS) -> None:
        self._address = address
        self._clients = clients
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._failure: BaseException | None = None
        self.acknowledged: list[tuple[float, Refined]] = []
        """The time of an answer, and the answer."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def wait_for(self, more: int, *, timeout: float = PATIENCE) -> float:
        """Wait until `more` further refines are acknowledged; return the seconds that it took."""
        begin = time.monotonic()
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            if self._failure is not None:
                raise self._failure
            assert time.monotonic() < begin + timeout, "nothing is acknowledged any more"
            time.sleep(0.005)
        return time.monotonic() - begin

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._clients):
                    group.create_task(self._call(number) if number % 8 else self._stream(number))
        except BaseExceptionGroup as failures:
            self._failure = failures.exceptions[0]

    async def _call(self, number: int) -> None:
        """One refine after the other."""
        async with Refinery.connect(ledger=self._address, timeout_seconds=PATIENCE) as refinery:
            for refine in self._refines(number):
                refined = await refinery.refine(
                    author_ref=refine.author_ref,
                    drafts=refine.drafts,
                    target_refs=refine.target_refs,
                    request_id=refine.request_id,
                )
                self.acknowledged.append((time.monotonic(), refined))

    async def _stream(self, number: int) -> None:
        """Several at a time."""
        async with Refinery.connect(ledger=self._address, timeout_seconds=PATIENCE) as refinery:
            async for outcome in refinery.refine_many(self._refines(number), in_flight=STREAM_IN_FLIGHT):
                self.acknowledged.append((time.monotonic(), outcome.unwrap()))

    def _refines(self, number: int) -> Iterator[Refine]:
        for turn in itertools.count(number):
            if self._stopped.is_set():
                return
            drafts = [
                _record(f"load/{turn % IDS}", solution={"by": number, "turn": turn}),
                _record(f"other/{number}", schema=SCHEMA),
            ]
            yield Refine(author_ref=AUTHOR, drafts=drafts, target_refs=["aug:/system/genesis"])


def _record(id_: str, **documents: Any) -> Draft:
    return Draft(type=VibeType.RECORD, id=id_, **documents)


SCHEMA = {"properties": {"a": {"$ref": "aug:/schemas/base"}}}


async def prepare(address: str) -> None:
    """Refine the Vibes that the load refers to."""
    async with Refinery.connect(ledger=address, timeout_seconds=PATIENCE) as refinery:
        base = _record("schemas/base", schema={"type": "object"})
        await refinery.refine(author_ref=AUTHOR, drafts=[base])


async def check(owner_url: str, acknowledged: list[tuple[float, Refined]]) -> None:
    """Check that every acknowledged refine is there, once, as answered; and that the ledger is sound."""
    connection = await asyncpg.connect(owner_url)
    try:
        rows = {row["request_id"]: row for row in await connection.fetch(REFINEMENTS)}
        vibes = {
            row["ref"]: row["digest"]
            for row in await connection.fetch("select ref, digest from refinery.vibes")
        }
    finally:
        await connection.close()
    for _, refined in acknowledged:
        told, row = refined.refinement, rows[refined.request_id]
        assert told is not None
        assert (row["position"], row["chain"], row["time"]) == (told.position, told.chain, told.time)
        assert tuple(row["refs"]) == told.vibe_refs
        for vibe in refined.vibes:
            assert vibes[vibe.ref] == vibe.digest
    assert len({refined.request_id for _, refined in acknowledged}) == len(acknowledged)
    assert sorted(row["position"] for row in rows.values()) == list(range(1, len(rows) + 1))
    # Each client sends until it is stopped; the rest was there before.
    assert len(rows) == SEEDED + 1 + len(acknowledged)
    assert (await verify(owner_url)).findings == []


REFINEMENTS = """
select r.request_id, r.position, r.chain, r.time, array_agg(v.ref order by v.ordinal) as refs
from refinery.refinements r join refinery.vibes v on v.position = r.position group by r.id
"""
