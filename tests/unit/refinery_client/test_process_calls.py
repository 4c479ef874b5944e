from __future__ import annotations

import uuid
from typing import Any

import pytest

from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_client import ABSENT, DeadlineExceeded, JsonText, Problem
from refinery_core.errors import LedgerUnavailable, TemporalUnavailable

ROLE = "main@roles/local?1"
NAME = "aug:/capabilities/x"


async def test_a_call_gives_its_output_and_says_what_was_called(small: Any) -> None:
    small.processes.called = pb.CallCapabilityResponse(
        capability_ref="main@capabilities/x?1", output=Document(json='{"n":[1,null]}')
    )
    id_ = uuid.uuid4()

    called = await small.refinery.call_capability(
        NAME, author_ref=ROLE, input=JsonText('{"a": 1.0}'), branch="dev", request_id=id_
    )

    assert (called.capability_ref, called.output) == ("main@capabilities/x?1", {"n": [1, None]})
    assert called.problem is None
    assert small.processes.calls == [
        pb.CallCapabilityRequest(
            request_id=str(id_),
            capability=NAME,
            author_ref=ROLE,
            input=Document(json='{"a": 1.0}'),
            branch="dev",
        )
    ]


async def test_a_problem_is_an_answer(small: Any) -> None:
    problem = pb.Problem(type="about:blank", status=403, title="Not allowed")
    small.processes.called = pb.CallCapabilityResponse(capability_ref="main@x?1", problem=problem)

    called = await small.refinery.call_capability(NAME, author_ref=ROLE)

    assert called.output is ABSENT
    assert called.problem == Problem("about:blank", 403, "Not allowed", "", "")
    assert not small.processes.calls[0].HasField("input")
    assert uuid.UUID(small.processes.calls[0].request_id)


async def test_a_call_is_sent_once_and_everything_else_again(small: Any) -> None:
    small.processes.failures = [TemporalUnavailable(problem="it sleeps")]
    await small.refinery.cancel_execution(uuid.uuid4())
    assert len(small.processes.calls) == 2

    small.processes.failures = [LedgerUnavailable(problem="it sleeps")]
    with pytest.raises(LedgerUnavailable):
        await small.refinery.call_capability(NAME, author_ref=ROLE)
    assert len(small.processes.calls) == 3


async def test_a_call_has_no_deadline_but_the_one_that_it_is_given(small: Any) -> None:
    await small.refinery.call_capability(NAME, author_ref=ROLE)
    small.processes.stalls = True

    with pytest.raises(DeadlineExceeded):
        await small.refinery.call_capability(NAME, author_ref=ROLE, timeout_seconds=1.0)

    unbounded, bounded = small.processes.seconds_left
    assert unbounded is None
    assert bounded < 2
