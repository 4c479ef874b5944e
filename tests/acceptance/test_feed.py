"""Many watches read each refinement once, from memory, and one that falls behind loses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ledger_service import feed as feeding
from ledger_service import reads
from ledger_service import watch as watching
from ledger_service.notifications import Notifications
from refinery.vibe.v1 import vibe_pb2
from refinery_core.postgres.database import Database as Store
from tests.acceptance.test_watches import Watch, next_of, watch
from tests.cases.seeded import SEEDED
from tests.support.ledger import Ledger, record, running

WATCHERS = 40


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of times that this process sent each query."""
    counts: Counter[str] = Counter()
    fetch = Store.fetch

    async def counted(self: Store, query: str, *arguments: Any) -> Any:
        counts[query] += 1
        return await fetch(self, query, *arguments)

    monkeypatch.setattr(Store, "fetch", counted)
    return counts


async def refs_until(call: Watch, position: int) -> list[str]:
    """The refs of the Vibes that come up to a position."""
    refs: list[str] = []
    at = 0
    while at < position:
        answer = await next_of(call)
        refs += [vibe.ref for vibe in answer.vibes]
        at = answer.position
    return refs


@pytest.fixture
async def many(ledger: Ledger) -> AsyncIterator[list[Watch]]:
    """Watches that have come to the end of the ledger, half of them with a filter."""
    begun = await ledger.record("a/begun")
    async with AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(watch(ledger.stub, SEEDED, id_prefix="a/" if number % 2 else ""))
            for number in range(WATCHERS)
        ]
        for call in calls:
            assert (await next_of(call)).position == begun.position
        yield calls


async def test_a_commit_is_read_once_for_all_who_watch(
    ledger: Ledger, many: list[Watch], asked: Counter[str]
) -> None:
    asked.clear()
    for number in range(10):
        made = await ledger.refine(record(f"a/{number}"), record(f"b/{number}"))
        expected = [vibe.ref for vibe in made.vibes]
        seen = await asyncio.gather(*(next_of(call) for call in many))
        for place, answer in enumerate(seen):
            assert [vibe.ref for vibe in answer.vibes] == expected[: 1 if place % 2 else 2]
    assert asked["watch_vibes"] == asked["refinements_at"] == 0
    assert asked["list_vibes"] <= 2 * 10
    # One for each commit, and those of a poll four times a second, however slow this machine is.
    assert asked["list_refinements"] < WATCHERS * 10 / 2


async def test_without_notifications_a_commit_of_another_process_is_found_by_looking(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notifications, "tell", lambda *_: None)
    async with watch(ledger.stub, SEEDED) as call, running(ledger.database) as other:
        for _ in range(3):
            made = await other.record("x")
            assert [vibe.ref for vibe in (await next_of(call)).vibes] == [made.ref]


@pytest.mark.parametrize(
    "bound",
    [
        (feeding, "KEPT_REFINEMENTS", 2),
        (feeding, "KEPT_BYTES", 10_000),
        (feeding, "LARGEST_BYTES", 0),
        (feeding, "REFINEMENTS_AT_ONCE", 1),
        (watching, "VIBES_AT_ONCE", 2),
        (watching, "REFINEMENTS_AT_ONCE", 1),
        (feeding, "VIBES_AT_ONCE", 2),
    ],
)
@pytest.mark.parametrize("view", [vibe_pb2.VIBE_VIEW_BASIC, vibe_pb2.VIBE_VIEW_FULL])
async def test_a_watch_that_falls_behind_sees_everything_once_in_order(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, bound: tuple[Any, str, int], view: int
) -> None:
    monkeypatch.setattr(*bound)
    async with AsyncExitStack() as stack:
        everything = await stack.enter_async_context(watch(ledger.stub, SEEDED, view=view))
        some = await stack.enter_async_context(watch(ledger.stub, SEEDED, id_prefix="a/", view=view))
        begun = await ledger.record("a/begun")
        for call in (everything, some):
            assert (await next_of(call)).vibes[0].ref == begun.ref
        # They do not read on while this is written.
        large = "x" * 200_000
        made = [begun.ref] + [
            vibe.ref
            for number in range(12)
            for vibe in (
                await ledger.refine(
                    *(record(f"{'ab'[part % 2]}/{number}/{part}", solution=large) for part in range(5))
                )
            ).vibes
        ]
        last = await ledger.last_position()
        assert await refs_until(everything, last) == made[1:]
        assert await refs_until(some, last) == [ref for ref in made[1:] if ref.startswith("main@a/")]


@pytest.mark.parametrize("cache_bytes", [0, 64 << 20])
async def test_a_full_watch_reads_on_with_any_cache(ledger: Ledger, cache_bytes: int) -> None:
    made = await ledger.refine(*(record(f"a/{number}", solution="x" * number) for number in range(150)))
    async with (
        running(ledger.database, cache_bytes=cache_bytes) as other,
        watch(other.stub, SEEDED, view=vibe_pb2.VIBE_VIEW_FULL) as call,
    ):
        answer = await next_of(call)
    assert [vibe.ref for vibe in answer.vibes] == [vibe.ref for vibe in made.vibes]
    assert [len(vibe.solution.json) for vibe in answer.vibes] == [number + 2 for number in range(150)]


async def test_who_watches_again_after_all_have_left_misses_nothing(ledger: Ledger) -> None:
    position = SEEDED
    for _ in range(5):
        made = [await ledger.record("a") for _ in range(3)]
        async with watch(ledger.stub, position) as call:
            assert await refs_until(call, position + 3) == [vibe.ref for vibe in made]
            position += 3


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
async def test_a_narrow_watch_from_the_beginning_finds_what_lies_far_apart(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(watching, "VIBES_AT_ONCE", at_once)
    monkeypatch.setattr(reads, "VIBES_AT_ONCE", at_once)
    wanted = []
    for number in range(12):
        refined = await ledger.refine(record(f"b/{number}"), record("a" if number % 4 == 0 else "c"))
        wanted += [vibe.ref for vibe in refined.vibes if vibe.id == "a"]
    end = await ledger.record("a")
    async with watch(ledger.stub, 0, id_prefix="a") as call:
        assert await refs_until(call, end.position) == [*wanted, end.ref]
    listed = [vibe.ref async for vibe in ledger.refinery.list_vibes(id_prefix="a")]
    assert listed == [*wanted, end.ref]


async def test_a_slow_watch_holds_up_no_other_one(ledger: Ledger) -> None:
    view = vibe_pb2.VIBE_VIEW_FULL
    async with watch(ledger.stub, SEEDED, view=view) as slow, watch(ledger.stub, SEEDED, view=view) as fast:
        begun = await ledger.record("a")
        assert (await next_of(slow)).position == begun.position
        for number in range(30):
            await ledger.record(f"a/{number}", solution="x" * 900_000)
        await refs_until(fast, begun.position + 30)
        assert len(await refs_until(slow, begun.position + 30)) == 30
