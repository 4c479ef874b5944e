"""The largest legal request of every RPC is answered, and does not keep others from executing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from temporalio import client as temporal

from process_worker.door.freeze import MAX_INPUTS
from process_worker.door.wire import MAX_ATTRIBUTES, MAX_NOTE_BYTES, MAX_TEXT
from process_worker.engine.contract import MAX_EVENTS_BYTES
from process_worker.workflow.keys import temporal_schedule_id
from process_worker.workflow.messages import MAX_INLINE_BYTES, TASK_QUEUE
from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_client import Draft
from refinery_core.pages import MAX_SIZE
from refinery_core.process.reading import MAX_TASKS
from refinery_core.vibe.documents import MAX_BYTES
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import finished, reason
from tests.support.waiting import PATIENCE, until

SMALL: Final = "aug:/processes/small"
MEBIBYTE: Final = Document(json='"' + "x" * (MAX_BYTES - 2) + '"')
SCHEDULES, WATCHES = 50, 5
"""Fewer than a page: Temporal takes its time to make a schedule, and to delete it."""

Case = Callable[[Processes], Awaitable[None]]


def execute(process: str = SMALL, **fields: Any) -> pb.ExecuteProcessRequest:
    return pb.ExecuteProcessRequest(
        **{"request_id": str(uuid.uuid4()), "author_ref": AUTHOR, "process": process, **fields}
    )


async def started(processes: Processes, **fields: Any) -> str:
    answer = await processes.stub.ExecuteProcess(execute(**fields), timeout=PATIENCE)
    return answer.execution.id


async def listening(processes: Processes) -> str:
    return await started(processes, input=Document(json='{"listen": true}'))


async def completes(processes: Processes, id_: str) -> None:
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_COMPLETED


# --- The cases ------------------------------------------------------------------------------


async def large_input(processes: Processes) -> None:
    await processes.process("processes/empty", [{"a": {"set": {"n": 1}}}])
    await completes(processes, await started(processes, process="aug:/processes/empty", input=MEBIBYTE))


async def many_inputs(processes: Processes) -> None:
    refs = await processes.services.refine(
        *(Draft(type=VibeType.RECORD, id=f"inputs/{n}") for n in range(MAX_INPUTS))
    )
    await completes(processes, await started(processes, target_refs=refs))


async def many_tasks(processes: Processes) -> None:
    await processes.process("processes/long", [{f"t{n}": {"set": {"n": n}}} for n in range(MAX_TASKS)])
    id_ = await started(processes, process="aug:/processes/long")
    await completes(processes, id_)
    found = await processes.stub.GetExecution(pb.GetExecutionRequest(id=id_))
    assert found.execution.result_ref


async def watch(processes: Processes) -> None:
    await processes.process("processes/long", [{f"t{n}": {"set": {"n": n}}} for n in range(MAX_TASKS)])
    id_ = await started(processes, process="aug:/processes/long")
    calls = [processes.stub.WatchExecution(pb.WatchExecutionRequest(id=id_)) for _ in range(WATCHES)]

    async def to_the_end(call: Any) -> Any:
        return [message async for message in call][-1].execution.state

    ends = await asyncio.wait_for(asyncio.gather(*map(to_the_end, calls)), PATIENCE)
    assert {*ends} == {pb.EXECUTION_STATE_COMPLETED}


async def list_executions(processes: Processes) -> None:
    ids = [await listening(processes) for _ in range(20)]

    async def are_listed() -> bool:
        answer = await processes.stub.ListExecutions(pb.ListExecutionsRequest(page_size=MAX_SIZE))
        return {*ids} <= {execution.id for execution in answer.executions}

    await until(are_listed)  # Temporal's list lags behind.


async def send_events(processes: Processes) -> None:
    data = Document(json='"' + "x" * (MAX_INLINE_BYTES - 2) + '"')
    attributes = {f"a{n}": "x" * MAX_TEXT for n in range(MAX_ATTRIBUTES)}
    id_ = await listening(processes)
    for number in range(MAX_EVENTS_BYTES // MAX_INLINE_BYTES // 4):
        event = pb.Event(id=f"e{number}", type="unheard", data=data, attributes=attributes)
        fields = {"request_id": str(uuid.uuid4()), "execution_id": id_, "author_ref": AUTHOR}
        await processes.stub.SendEvent(pb.SendEventRequest(**fields, event=event), timeout=PATIENCE)


async def cancel(processes: Processes) -> None:
    id_ = await listening(processes)
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=id_))
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_CANCELLED


async def terminate(processes: Processes) -> None:
    id_ = await listening(processes)
    request = pb.TerminateExecutionRequest(id=id_, reason="x" * MAX_TEXT)
    await processes.stub.TerminateExecution(request)
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_TERMINATED


async def scheduled(processes: Processes) -> str:
    await processes.process("processes/yearly", [{"a": {"set": {"n": 1}}}], schedule={"cron": "0 0 29 2 *"})
    answer = await processes.stub.ScheduleProcess(
        pb.ScheduleProcessRequest(
            request_id=str(uuid.uuid4()), author_ref=AUTHOR, process="aug:/processes/yearly", input=MEBIBYTE
        ),
        timeout=PATIENCE,
    )
    return answer.schedule.id


async def schedule(processes: Processes) -> None:
    id_ = await scheduled(processes)
    await processes.temporal.get_schedule_handle(temporal_schedule_id(uuid.UUID(id_))).trigger()
    answer = await processes.stub.GetSchedule(pb.GetScheduleRequest(id=id_))
    assert answer.schedule.state == pb.SCHEDULE_STATE_ACTIVE


async def pause(processes: Processes) -> None:
    id_ = await scheduled(processes)
    await processes.stub.PauseSchedule(pb.PauseScheduleRequest(id=id_, reason="é" * (MAX_NOTE_BYTES // 2)))
    await processes.stub.ResumeSchedule(pb.ResumeScheduleRequest(id=id_))
    await processes.stub.EndSchedule(pb.EndScheduleRequest(id=id_))


async def list_schedules(processes: Processes) -> None:
    action = temporal.ScheduleActionStartWorkflow("Nothing", id="nothing", task_queue=TASK_QUEUE)
    never = temporal.Schedule(action=action, spec=temporal.ScheduleSpec(cron_expressions=["0 0 29 2 *"]))
    await asyncio.gather(*(processes.temporal.create_schedule(f"other/{n}", never) for n in range(SCHEDULES)))
    await processes.stub.ListSchedules(pb.ListSchedulesRequest(page_size=MAX_SIZE))


async def call(processes: Processes) -> None:
    processes.web.script({"/large": [(200, {"text": "x" * 1_000_000})]})
    with_ = {"method": "post", "endpoint": f"{processes.web.base}/large", "body": "${ . }"}
    await processes.capability({"call": "http", "with": with_})
    request = pb.CallCapabilityRequest(
        request_id=str(uuid.uuid4()), author_ref=AUTHOR, capability="aug:/capabilities/x", input=MEBIBYTE
    )
    answer = await processes.stub.CallCapability(request, timeout=PATIENCE)
    assert answer.WhichOneof("outcome") == "output", answer


CASES: Final[dict[str, Case]] = {
    "ExecuteProcess: an input of 1 MiB": large_input,
    "ExecuteProcess: 400 inputs": many_inputs,
    "GetExecution: of 1,000 tasks": many_tasks,
    "WatchExecution: some watches of 1,000 tasks": watch,
    "ListExecutions: a page": list_executions,
    "SendEvent: 4 MiB of events, 256 KiB each": send_events,
    "CancelExecution: one that listens": cancel,
    "TerminateExecution: with the longest reason": terminate,
    "ScheduleProcess: an input of 1 MiB": schedule,
    "GetSchedule: the same": schedule,
    "PauseSchedule: with the longest reason": pause,
    "ResumeSchedule: the same": pause,
    "EndSchedule: the same": pause,
    "CallCapability: 1 MiB there, 1 MiB back": call,
    "ListSchedules: a page": list_schedules,
}


@asynccontextmanager
async def probing(processes: Processes) -> AsyncIterator[None]:
    """Execute small processes meanwhile; each completes."""
    done: list[str] = []

    async def probe() -> None:
        while True:
            id_ = await started(processes)
            await completes(processes, id_)
            done.append(id_)

    probes = asyncio.create_task(probe())
    try:
        yield
        before = len(done)
        async with asyncio.timeout(PATIENCE):
            while len(done) == before and not probes.done():
                await asyncio.sleep(0.01)
        if probes.done():
            await probes
    finally:
        probes.cancel()
        await asyncio.gather(probes, return_exceptions=True)


@pytest.mark.parametrize("case", dict.fromkeys(CASES.values()), ids=lambda case: case.__name__)
async def test_the_largest_legal_request_is_answered_and_others_execute_meanwhile(
    processes: Processes, case: Case
) -> None:
    await processes.process("processes/small")
    async with probing(processes):
        await case(processes)


def test_there_is_a_case_for_every_rpc() -> None:
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    assert {what.partition(":")[0] for what in CASES} == {method.name for method in service.methods}


async def test_a_reason_that_temporal_does_not_keep_is_refused(processes: Processes) -> None:
    id_ = await scheduled(processes)
    request = pb.PauseScheduleRequest(id=id_, reason="é" * (MAX_NOTE_BYTES // 2) + "x")
    refused = await reason(processes.stub.PauseSchedule(request))
    assert refused == ("INVALID_FIELD", {"field": "reason", "problem": "is longer than 1000 bytes"})
