from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from refinery_client import Draft, Refinery, Unreachable
from refinery_core.errors import PositionOutOfRange
from refinery_core.vibe.model import VibeType
from tests.support.waiting import PATIENCE

ROLE = "main@roles/local?1"


async def _refine(small: Any, id_: str) -> None:
    drafts = [Draft(type=VibeType.RECORD, id=f"{id_}/{part}") for part in "ab"]
    await small.refinery.refine(author_ref=ROLE, drafts=drafts)


async def _watch(small: Any, count: int) -> list[tuple[int, list[str]]]:
    seen: list[tuple[int, list[str]]] = []
    async with asyncio.timeout(PATIENCE), aclosing(small.refinery.watch()) as changes:
        async for change in changes:
            seen.append((change.position, [vibe.id for vibe in change.vibes]))
            if len(seen) == count:
                break
    return seen


async def test_a_watch_gives_what_was_and_what_comes(small: Any) -> None:
    await _refine(small, "r1")
    watching = asyncio.create_task(_watch(small, 2))
    await asyncio.sleep(0.05)
    await _refine(small, "r2")

    assert await watching == [(1, ["r1/a", "r1/b"]), (2, ["r2/a", "r2/b"])]


@pytest.mark.parametrize("drops_with", [None, grpc.StatusCode.CANCELLED])
@pytest.mark.parametrize("drop_after", [0, 1, 2])
async def test_a_watch_that_was_dropped_resumes_without_gap_or_repetition(
    small: Any, drop_after: int, drops_with: grpc.StatusCode | None
) -> None:
    # A drop after the first part of a refinement: both parts come again, and are given once.
    for number in range(3):
        await _refine(small, f"r{number}")
    small.ledger.calls.clear()
    small.ledger.drop_after, small.ledger.drops_with = drop_after, drops_with

    seen = await _watch(small, 3)

    assert seen == [(number + 1, [f"r{number}/a", f"r{number}/b"]) for number in range(3)]
    assert len(small.ledger.calls) == 2


async def test_a_watch_is_refused_what_it_may_not_ask(small: Any) -> None:
    small.ledger.failures = [PositionOutOfRange(field="after_position", position=9, last=1)]

    with pytest.raises(PositionOutOfRange):
        await _watch(small, 1)


async def test_a_watch_gives_up_when_nobody_is_there() -> None:
    async with Refinery.connect(ledger="127.0.0.1:1") as refinery:
        with pytest.raises(Unreachable):
            await anext(refinery.watch(give_up_seconds=0.2))
