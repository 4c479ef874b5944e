"""A watch goes on until the execution has ended, and says so once."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from process_worker.activities.outside.documents import Documents
from process_worker.temporal.client import Temporal
from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import TASK_QUEUE, WORKFLOW, Progress, Start
from process_worker.workflow.steps import Begin, Behalf
from refinery.process.v1 import process_service_pb2 as pb
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_events import heard, listening
from tests.integration.process.test_executions import asked, finished

ENDED = pb.EXECUTION_EVENT_TYPE_EXECUTION_ENDED


def watching(processes: Processes, id_: str, after: int = 0) -> Any:
    request = pb.WatchExecutionRequest(id=id_, after_number=after)
    return processes.stub.WatchExecution(request, timeout=20)


async def test_a_watch_of_what_is_about_to_be_started_sees_all_of_it(processes: Processes) -> None:
    parent = f"main@executions/{await listening(processes)}?1"
    process = await processes.process("processes/child", [{"s": {"set": {"x": 1}}}])
    id_ = str(uuid.uuid4())
    behalf = Behalf(AUTHOR, "main", process, parent)
    begun = await Documents(processes.services.refinery).begin(
        Begin(id_, process, f"results/{id_}", {}, behalf)
    )
    watched = aiter(watching(processes, id_))
    assert (await anext(watched)).execution.state == pb.EXECUTION_STATE_RUNNING
    second = asyncio.ensure_future(anext(watched))
    await asyncio.wait((second,), timeout=1.5)
    assert not second.done()
    start = Start(process, begun.record_ref, AUTHOR, "main", f"results/{id_}", input={})
    await processes.temporal.start_workflow(
        WORKFLOW, start, id=workflow_id(uuid.UUID(id_)), task_queue=TASK_QUEUE
    )
    messages = [await second, *[message async for message in watched]]
    assert [message.event.number for message in messages] == [1, 2, 3]
    assert messages[-1].event.type == ENDED
    assert messages[-1].execution.state == pb.EXECUTION_STATE_COMPLETED


@pytest.mark.parametrize("status", [RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL])
async def test_a_watch_outlives_a_question_that_fails(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode
) -> None:
    real, failed, asked_again = WorkflowHandle[Any, Any].result, asyncio.Event(), asyncio.Event()

    async def once_broken(handle: WorkflowHandle[Any, Any], **options: Any) -> Any:
        if failed.is_set():
            asked_again.set()
            return await real(handle, **options)
        failed.set()
        raise RPCError("transport error", status, b"")

    monkeypatch.setattr(WorkflowHandle, "result", once_broken)
    id_ = await listening(processes)
    watched = aiter(watching(processes, id_))
    seen = [await anext(watched) for _ in range(4)]
    await asked_again.wait()  # A watch that had taken that for the end would not ask.
    await processes.stub.SendEvent(heard(id_))
    seen += [message async for message in watched]
    assert [message.event.type for message in seen].count(ENDED) == 1
    assert seen[-1].event.type == ENDED
    assert seen[-1].execution.state == pb.EXECUTION_STATE_COMPLETED


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("terminates", [False, True])
async def test_who_has_seen_the_end_is_told_how_it_stands_and_nothing_new(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, *, terminates: bool, forgets: bool
) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": 1} if terminates else {})
    await processes.stub.ExecuteProcess(request)
    if terminates:
        await processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=request.request_id))
    if forgets:
        await finished(processes, request.request_id)
        monkeypatch.setattr(Temporal, "find", nothing)
        monkeypatch.setattr(Temporal, "progress", unknown)
    first = [message async for message in watching(processes, request.request_id)]
    last = first[-1]
    assert last.event.type == ENDED
    for _ in range(2):
        again = [message async for message in watching(processes, request.request_id, last.event.number)]
        assert not any(message.HasField("event") for message in again)
        assert [message.execution for message in again] == [last.execution] * 2


async def nothing(*_: Any) -> None:
    return None


async def unknown(*_: Any) -> Progress:
    return Progress(state="")
