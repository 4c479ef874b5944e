from __future__ import annotations

import asyncio
import math
import uuid
from typing import Any

import grpc
import pytest

from refinery_client import ABSENT, DeadlineExceeded, Draft, JsonText, Refinery, Unreachable, retry
from refinery_core.errors import (
    DatabaseUnavailable,
    InvalidDocument,
    RefinementNotFound,
    SolutionInvalid,
    VibeNotFound,
    Violation,
)
from refinery_core.vibe.model import VibeType
from tests.support.waiting import until

ENOUGH = 0.5
"""Seconds in which a refusal comes back also on a busy machine."""

ROLE = "main@roles/local?1"


def draft(id_: str = "a", **fields: Any) -> Draft:
    return Draft(type=VibeType.RECORD, id=id_, **fields)


async def test_refine_makes_a_request_id_and_says_which(small: Any) -> None:
    refined = await small.refinery.refine(author_ref=ROLE, drafts=[draft()])

    assert refined.refinement.request_id == refined.request_id
    assert [vibe.ref for vibe in refined.vibes] == ["main@a?1"]
    assert small.ledger.calls[0].request_id == str(refined.request_id)


async def test_an_unavailable_server_is_asked_again_with_the_same_request_id(small: Any) -> None:
    small.ledger.failures = [DatabaseUnavailable(), DatabaseUnavailable()]

    refined = await small.refinery.refine(author_ref=ROLE, drafts=[draft()])

    assert [call.request_id for call in small.ledger.calls] == [str(refined.request_id)] * 3


async def test_a_call_that_the_server_dropped_is_sent_again_under_its_request_id(small: Any) -> None:
    small.ledger.drop_after, small.ledger.drops_with = 0, grpc.StatusCode.CANCELLED

    refined = await small.refinery.refine(author_ref=ROLE, drafts=[draft()])

    assert len(small.ledger.calls) == 2
    assert len(small.ledger.committed) == 1
    assert refined.replayed


async def test_a_call_that_its_caller_cancels_is_not_sent_again(small: Any) -> None:
    small.ledger.stalls = True
    asking = asyncio.create_task(small.refinery.get_vibe("main@x?1"))
    await until(lambda: small.ledger.calls)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(small.ledger.calls) == 1


async def test_the_last_refusal_is_raised_when_the_time_is_up(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "SHORTEST_ATTEMPT_SECONDS", ENOUGH)
    small.ledger.failures = [DatabaseUnavailable()] * 100

    with pytest.raises(DatabaseUnavailable):
        await small.refinery.get_vibe("main@x?1", timeout_seconds=ENOUGH + 0.5)

    assert len(small.ledger.calls) >= 2


async def test_nothing_but_unavailable_is_asked_again(small: Any) -> None:
    with pytest.raises(VibeNotFound) as caught:
        await small.refinery.get_vibe("main@missing?1")

    assert caught.value.metadata == {"reference": "main@missing?1"}
    assert len(small.ledger.calls) == 1


async def test_documents_are_python_values_and_absent_is_not_null(small: Any) -> None:
    vibe = await small.refinery.get_vibe("main@x?1")

    assert vibe.solution == {"a": [1, None, "é"]}
    assert vibe.context is None
    assert vibe.schema is ABSENT
    assert vibe.time.microsecond == 789_012


async def test_drafts_say_null_text_and_nothing_apart(small: Any) -> None:
    await small.refinery.refine(
        author_ref=ROLE,
        drafts=[draft(context=None, solution=JsonText('{"a": 1.0}')), draft(solution={"b": 2})],
    )

    first, second = small.ledger.calls[0].drafts
    assert (first.context.json, first.HasField("schema"), first.solution.json) == (
        "null",
        False,
        '{"a": 1.0}',
    )
    assert second.solution.json == '{"b":2}'


async def test_a_value_that_json_cannot_hold_is_refused_before_it_is_sent(small: Any) -> None:
    with pytest.raises(InvalidDocument) as caught:
        await small.refinery.refine(author_ref=ROLE, drafts=[draft(), draft(solution={"a": [math.nan]})])

    assert caught.value.metadata["field"] == "drafts[1].solution"
    assert caught.value.metadata["path"] == "$.a[0]"
    assert small.ledger.calls == []


async def test_violations_come_back_as_they_were_raised(small: Any) -> None:
    violations = tuple(
        Violation(f"/a~1b/{number}", f"/properties/ü x: y/{number}", f"{number}: is 5% off # see")
        for number in range(15)
    )
    small.ledger.failures = [SolutionInvalid(field="drafts[0].solution", violations=violations, count="15")]

    with pytest.raises(SolutionInvalid) as caught:
        await small.refinery.refine(author_ref=ROLE, drafts=[draft()])

    assert caught.value.violations == violations
    assert caught.value.metadata["count"] == "15"


async def test_what_was_only_validated_has_no_refinement(small: Any) -> None:
    refined = await small.refinery.refine(author_ref=ROLE, drafts=[draft()], validate_only=True)

    assert refined.refinement is None
    assert small.ledger.committed == {}


async def test_a_batch_that_was_cut_is_asked_for_again(small: Any) -> None:
    vibes = await small.refinery.batch_get_vibes(["a", "b", "c", "d", "e"])

    assert [vibe.id for vibe in vibes] == ["a", "b", "c", "d", "e"]
    assert len(small.ledger.calls) == 3


async def test_a_list_goes_over_its_pages(small: Any) -> None:
    vibes = [vibe.position async for vibe in small.refinery.list_vibes(branch="main", page_size=2)]

    assert vibes == [1, 2, 3, 4, 5, 6]
    assert [call.page_token for call in small.ledger.calls] == ["", "2", "4"]


async def test_an_unknown_outcome_can_be_asked_about(small: Any) -> None:
    request_id = uuid.uuid4()
    with pytest.raises(RefinementNotFound):
        await small.refinery.get_refinement(request_id=request_id)
    await small.refinery.refine(author_ref=ROLE, drafts=[draft()], request_id=request_id)

    found = await small.refinery.get_refinement(request_id=request_id)

    assert found.request_id == request_id


async def test_get_refinement_takes_one_name(small: Any) -> None:
    with pytest.raises(TypeError, match="exactly one"):
        await small.refinery.get_refinement(position=1, vibe_ref="main@a?1")


async def test_lineage_is_given_step_by_step_and_says_that_it_was_cut(small: Any) -> None:
    small.ledger.failures = [DatabaseUnavailable()]
    walk = small.refinery.trace_lineage("main@a?1")

    steps = [step async for step in walk]

    assert [step.depth for step in steps] == [0, 1, 2]
    assert walk.truncated


async def test_a_branch_is_made_at_a_position(small: Any) -> None:
    made = await small.refinery.create_branch("dev/x", author_ref=ROLE, fork=7)

    assert (made.branch.name, made.branch.parent, made.branch.fork_position) == ("dev/x", "main", 7)


async def test_nobody_there_is_one_refusal() -> None:
    async with Refinery.connect(ledger="127.0.0.1:1", timeout_seconds=0.3) as refinery:
        with pytest.raises(Unreachable, match="The ledger service cannot be reached"):
            await refinery.get_vibe("main@x?1")


async def test_a_server_that_does_not_answer_is_a_deadline(small: Any) -> None:
    small.ledger.stalls = True

    with pytest.raises(DeadlineExceeded) as told:
        await small.refinery.get_vibe("main@x?1", timeout_seconds=0.1)
    assert told.value.message == "The ledger service did not answer in time."


async def test_a_streamed_answer_takes_as_long_as_it_needs_unless_a_deadline_is_given(small: Any) -> None:
    assert [step.ref async for step in small.refinery.trace_lineage("main@a?1")]
    assert small.ledger.time_remaining is None

    assert [step.ref async for step in small.refinery.trace_lineage("main@a?1", timeout_seconds=60)]
    assert small.ledger.time_remaining is not None


async def test_a_streamed_answer_of_which_nothing_comes_any_more_is_a_deadline(small: Any) -> None:
    small.ledger.stalls = True

    async with Refinery.connect(ledger=small.address, timeout_seconds=ENOUGH) as refinery:
        steps = aiter(refinery.trace_lineage("main@a?1"))
        assert (await anext(steps)).ref == "main@a?1"
        with pytest.raises(DeadlineExceeded, match="The ledger service did not answer in time"):
            await anext(steps)


async def test_no_time_at_all_is_not_endless_time(small: Any) -> None:
    small.ledger.stalls = True

    with pytest.raises(DeadlineExceeded):
        await small.refinery.get_vibe("main@x?1", timeout_seconds=0)


async def test_the_addresses_come_from_the_environment(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_LEDGER", small.address)

    async with Refinery.connect() as refinery:
        assert (await refinery.get_vibe("main@x?1")).ref == "main@x?1"
