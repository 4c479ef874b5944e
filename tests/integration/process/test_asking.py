"""Questions about an execution are answered, however long the answer, and nothing is written."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from process_worker.engine.contract import Delivery
from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import DELIVER
from refinery.process.v1 import process_service_pb2 as pb
from refinery_core.wire import MAX_MESSAGE_BYTES
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import asked

EACH = "a_name_that_says_all_that_it_does_and_for_whom_and_why_" * 10
ROUNDS = 330
MANY: list[Any] = [{"f": {"for": {"in": f"${{ [range({ROUNDS})] }}"}, "do": [{EACH: {"set": {"x": 1}}}]}}]
EVENTS = 2 * ROUNDS + 3
WAITS: list[Any] = [{"hear": {"listen": {"to": {"one": {"with": {"type": "heard", "data": "x" * 300_000}}}}}}]
GRIN = "\U0001f600"


def nested(depth: int, inside: dict[str, Any]) -> dict[str, Any]:
    """A task, in tasks in tasks."""
    return {"n" * 100: inside if depth == 0 else {"do": [nested(depth - 1, inside)]}}


ERROR = {"type": "https://x.test/" + "t" * 1_500, "status": 500, "title": f'${{ "{GRIN}" * 1500 }}'}
RAISES = {"raise": {"error": {**ERROR, "detail": f'${{ "{GRIN}" * 1500 }}'}}}
CAUGHT = {"try": [nested(10, RAISES)], "catch": {"do": [{"s": {"set": {"x": 1}}}]}}
LOUD: list[Any] = [{"a": {"for": {"in": "${ [range(40)] }"}, "do": [{"t": CAUGHT}]}}]
"""Faults whose texts take as many bytes as they can, as many as are kept."""
DEEP: list[Any] = [
    nested(5, {"raise": {"error": {"type": "about:blank", "status": 500, "detail": '${ "x" * 900000 }'}}})
]


async def get(processes: Processes, id_: str) -> pb.GetExecutionResponse:
    return await processes.stub.GetExecution(pb.GetExecutionRequest(id=id_))


async def kept(processes: Processes) -> list[str]:
    """The ids of the RECORDs that the worker keeps for itself."""
    vibes = processes.services.refinery.list_vibes(id_prefix="executions/")
    return [vibe.id async for vibe in vibes if "/payloads/" in vibe.id]


async def test_a_long_story_is_told_whole_and_in_order_and_nothing_is_written(processes: Processes) -> None:
    await processes.process("processes/many", MANY)
    request = asked("aug:/processes/many")
    await processes.stub.ExecuteProcess(request)
    watching = processes.stub.WatchExecution(pb.WatchExecutionRequest(id=request.request_id), timeout=60)
    watched = [message.event.number async for message in watching if message.HasField("event")]
    assert watched == list(range(1, EVENTS + 1))
    story = await get(processes, request.request_id)
    assert [event.number for event in story.events] == watched
    assert story.ByteSize() > 300_000
    resumed = pb.WatchExecutionRequest(id=request.request_id, after_number=10)
    again = [message.event.number async for message in processes.stub.WatchExecution(resumed, timeout=20)]
    assert again == [0, *range(11, EVENTS + 1)]
    assert await kept(processes) == []


async def test_what_waits_for_much_is_asked_and_nothing_is_written(processes: Processes) -> None:
    await processes.process("processes/waits", WAITS)
    request = asked("aug:/processes/waits")
    await processes.stub.ExecuteProcess(request)
    handle = processes.temporal.get_workflow_handle(workflow_id(uuid.UUID(request.request_id)))
    other = Delivery("e", "other", "urn:x", "", AUTHOR, AUTHOR)
    await handle.execute_update(DELIVER, other)  # Once it is heard, the process listens.
    before = await kept(processes)
    story = await get(processes, request.request_id)
    assert list(story.execution.tasks) == ["/do/0/hear"]
    assert await kept(processes) == before


@pytest.mark.parametrize("do", [DEEP, LOUD], ids=["deep", "loud"])
async def test_an_execution_can_be_read_however_long_its_problems_are(
    processes: Processes, do: list[Any]
) -> None:
    await processes.process("processes/loud", do)
    request = asked("aug:/processes/loud")
    await processes.stub.ExecuteProcess(request)
    watching = processes.stub.WatchExecution(pb.WatchExecutionRequest(id=request.request_id), timeout=60)
    watched = [message.event.number async for message in watching if message.HasField("event")]
    assert watched == list(range(watched[0], watched[-1] + 1))
    before = await kept(processes)
    story = await get(processes, request.request_id)
    assert story.ByteSize() < MAX_MESSAGE_BYTES
    assert [event.number for event in story.events] == watched[-len(story.events) :]
    assert story.events[-1].type == pb.EXECUTION_EVENT_TYPE_EXECUTION_ENDED
    assert await kept(processes) == before
