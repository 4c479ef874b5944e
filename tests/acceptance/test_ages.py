"""Streams without end are ended at their age, and their readers still get everything once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Refine
from refinery_client.refusals import refusal_from
from refinery_core.errors import Draining
from tests.support.ledger import AUTHOR, Ledger, record
from tests.support.waiting import PATIENCE

AGE_SECONDS = 0.1
AGES = 5
"""Ends that a stream has to outlive."""


@pytest.fixture
async def aging(ledger: Ledger) -> Ledger:
    """A ledger whose streams become old in a moment."""
    ledger.drain._stream_age_seconds = AGE_SECONDS
    return ledger


async def end_of(stream: Any) -> Exception:
    """The error that ends a stream."""
    try:
        async with asyncio.timeout(PATIENCE):
            while await stream.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return refusal_from(error)
    return AssertionError("it ended without a word")


async def test_an_old_watch_ends_with_a_reason_while_the_server_goes_on(aging: Ledger) -> None:
    watches = [aging.stub.WatchVibes(pb.WatchVibesRequest()) for _ in range(4)]

    assert {type(await end_of(watch)) for watch in watches} == {Draining}
    await aging.record("a")
    assert not aging.drain.begun
    assert not aging.drain._streams


async def test_an_old_stream_of_refines_ends_when_what_it_carried_is_answered(aging: Ledger) -> None:
    stream: Any = aging.stub.RefineStream()
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id="a")
    request = pb.RefineRequest(request_id=str(uuid4()), author_ref=AUTHOR, drafts=[draft])
    await stream.write(pb.RefineStreamRequest(refine=request))

    assert (await stream.read()).response.vibes[0].ref == "main@a?1"
    assert type(await end_of(stream)) is Draining


async def test_a_client_watches_on_over_many_ages_without_a_word(aging: Ledger) -> None:
    begin, seen = await aging.last_position(), list[int]()

    async def write() -> None:
        for number in range(10 * AGES):
            await aging.record(f"a/{number % 7}")
            await asyncio.sleep(AGE_SECONDS / 10)

    async with (
        asyncio.timeout(PATIENCE),
        asyncio.TaskGroup() as group,
        aclosing(aging.refinery.watch(after_position=begin)) as changes,
    ):
        group.create_task(write())
        async for change in changes:
            seen.append(change.position)
            if len(seen) == 10 * AGES:
                break
    assert seen == [begin + 1 + number for number in range(10 * AGES)]


async def test_a_client_refines_on_over_many_ages_without_a_word(aging: Ledger) -> None:
    async def refines() -> AsyncIterator[Refine]:
        for number in range(3 * AGES):
            # In bursts, and idle between them for longer than a stream lives.
            await asyncio.sleep(0 if number % 3 else AGE_SECONDS * 1.5)
            yield Refine(author_ref=AUTHOR, drafts=[record(f"a/{number}")])

    outcomes = [outcome.unwrap() async for outcome in aging.refinery.refine_many(refines())]

    assert sorted(outcome.vibes[0].id for outcome in outcomes) == sorted(f"a/{n}" for n in range(3 * AGES))
    assert not any(outcome.replayed for outcome in outcomes if outcome.vibes[0].revision > 1)
