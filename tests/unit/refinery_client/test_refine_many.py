from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from refinery_client import Draft, Refine, Refinery, Unreachable
from refinery_core.errors import Contention, InvalidField, MessageTooLarge
from refinery_core.vibe.model import VibeType

ROLE = "main@roles/local?1"


def refine(id_: str) -> Refine:
    return Refine(author_ref=ROLE, drafts=[Draft(type=VibeType.RECORD, id=id_)])


async def test_every_refine_is_answered_once(small: Any) -> None:
    refines = [refine(f"a/{number}") for number in range(300)]

    outcomes = [outcome async for outcome in small.refinery.refine_many(refines, in_flight=16)]

    assert {outcome.refine.request_id for outcome in outcomes} == {one.request_id for one in refines}
    assert len(outcomes) == len(small.ledger.committed) == 300
    assert all(outcome.unwrap().refinement for outcome in outcomes)


async def test_a_refusal_is_an_outcome_and_the_stream_goes_on(small: Any) -> None:
    outcomes = [outcome async for outcome in small.refinery.refine_many([refine("bad"), refine("good")])]

    refused, done = sorted(outcomes, key=lambda outcome: outcome.result is not None)
    assert isinstance(refused.refusal, InvalidField)
    assert done.unwrap().vibes[0].id == "good"
    with pytest.raises(InvalidField):
        refused.unwrap()


async def test_an_unreadable_document_is_an_outcome_too(small: Any) -> None:
    bad = Refine(author_ref=ROLE, drafts=[Draft(type=VibeType.RECORD, id="a", solution=float("nan"))])

    outcomes = [outcome async for outcome in small.refinery.refine_many([bad, refine("good")])]

    assert sorted(outcome.result is None for outcome in outcomes) == [False, True]


async def test_a_refine_that_is_too_large_is_an_outcome_and_spares_the_others(small: Any) -> None:
    drafts = [Draft(type=VibeType.RECORD, id=f"a/{n}", solution="x" * 900_000) for n in range(7)]
    large = Refine(author_ref=ROLE, drafts=drafts)

    outcomes = [outcome async for outcome in small.refinery.refine_many([refine("good"), large])]

    assert [type(outcome.refusal) for outcome in outcomes if outcome.refine is large] == [MessageTooLarge]
    assert [outcome.unwrap().vibes[0].id for outcome in outcomes if outcome.refine is not large] == ["good"]


@pytest.mark.parametrize("drops_with", [None, grpc.StatusCode.CANCELLED])
async def test_a_lost_stream_sends_the_unanswered_again_under_the_same_ids(
    small: Any, drops_with: grpc.StatusCode | None
) -> None:
    small.ledger.drop_after, small.ledger.drops_with = 5, drops_with
    refines = [refine(f"a/{number}") for number in range(20)]

    outcomes = [outcome async for outcome in small.refinery.refine_many(refines)]

    assert len(outcomes) == len(small.ledger.committed) == 20
    assert sum(outcome.unwrap().replayed for outcome in outcomes) == 1


async def test_contention_in_the_stream_is_sent_again(small: Any) -> None:
    small.ledger.failures = [Contention(attempts=10), Contention(attempts=10)]

    outcomes = [outcome async for outcome in small.refinery.refine_many([refine("hot"), refine("cold")])]

    assert all(outcome.unwrap() for outcome in outcomes)
    assert [call.drafts[0].id for call in small.ledger.calls].count("hot") == 3


async def test_contention_that_lasts_is_an_outcome(small: Any) -> None:
    small.ledger.failures = [Contention(attempts=10)] * 100

    (outcome,) = [one async for one in small.refinery.refine_many([refine("hot")], timeout_seconds=1)]

    assert isinstance(outcome.refusal, Contention)


async def test_no_more_than_asked_for_is_in_flight(small: Any) -> None:
    drawn = 0

    async def source() -> AsyncIterator[Refine]:
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield refine(f"a/{number}")

    async with aclosing(small.refinery.refine_many(source(), in_flight=4)) as outcomes:
        await anext(outcomes)
        await asyncio.sleep(0.05)
        # What was given is one; the next is drawn before there is room for it.
        assert drawn <= 6


async def test_a_source_that_fails_is_told(small: Any) -> None:
    async def source() -> AsyncIterator[Refine]:
        yield refine("a")
        raise LookupError("the file ended early")

    with pytest.raises(LookupError):
        _ = [outcome async for outcome in small.refinery.refine_many(source())]


async def test_nothing_to_refine_is_nothing(small: Any) -> None:
    assert [outcome async for outcome in small.refinery.refine_many([])] == []


async def test_a_request_id_cannot_be_used_twice_at_once(small: Any) -> None:
    one = refine("a")

    with pytest.raises(ValueError, match="share the request_id"):
        _ = [outcome async for outcome in small.refinery.refine_many([one, one])]


async def test_nobody_there_ends_it() -> None:
    async with Refinery.connect(ledger="127.0.0.1:1") as refinery:
        with pytest.raises(Unreachable):
            _ = [outcome async for outcome in refinery.refine_many([refine("a")], timeout_seconds=1)]
