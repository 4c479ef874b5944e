from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import grpc
import orjson
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from process_worker.activities.outside.documents import Documents
from process_worker.door import executions
from process_worker.settings import Settings
from process_worker.temporal.client import Temporal
from process_worker.temporal.connect import connect
from process_worker.workflow.keys import result_key, workflow_id
from process_worker.workflow.steps import Begin, Behalf
from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_client import Draft, LineageDirection, Refinery
from refinery_core.errors import InvalidField, TemporalUnavailable
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import ELSEWHERE, Processes


def document(value: Any) -> Document:
    return Document(json=orjson.dumps(value).decode())


def asked(process: str, input_: Any = None, **fields: Any) -> pb.ExecuteProcessRequest:
    fields = {"request_id": str(uuid.uuid4()), "author_ref": AUTHOR, **fields}
    return pb.ExecuteProcessRequest(process=process, input=document(input_ or {}), **fields)


async def finished(processes: Processes, id_: str) -> pb.Execution:
    async for message in processes.stub.WatchExecution(pb.WatchExecutionRequest(id=id_), timeout=20):
        last = message
    return last.execution


async def reason(call: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    (raw,) = (
        value for key, value in refused.value.trailing_metadata() or () if key == "grpc-status-details-bin"
    )
    info = ErrorInfo()
    assert isinstance(raw, bytes)
    assert Status.FromString(raw).details[0].Unpack(info)
    return info.reason, dict(info.metadata)


async def test_an_execution_leaves_a_record_and_a_result(processes: Processes) -> None:
    process = await processes.process("processes/small")
    target = await processes.services.record("orders/1", solution={"n": 1})
    request = asked("aug:/processes/small", {"a": [1, 2.5]}, target_refs=["aug:/orders/1"])
    started = await processes.stub.ExecuteProcess(request)
    assert not started.replayed
    assert started.execution.id == request.request_id
    assert started.execution.process_ref == process
    assert started.execution.record_ref == f"main@executions/{request.request_id}?1"
    execution = await finished(processes, request.request_id)
    assert execution.state == pb.EXECUTION_STATE_COMPLETED
    assert execution.result_ref == f"main@processes/small/results/{request.request_id}?1"
    assert execution.end_time.seconds >= execution.start_time.seconds
    result = await processes.services.refinery.get_vibe(execution.result_ref)
    assert result.solution["input"] == {"a": [1, 2.5]}
    above = processes.services.refinery.trace_lineage(execution.result_ref, direction=LineageDirection.UP)
    assert {step.ref async for step in above} >= {process, target, execution.record_ref}


async def test_the_same_request_is_the_same_execution(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small")
    answers = await asyncio.gather(*(processes.stub.ExecuteProcess(request) for _ in range(8)))
    assert [answer.replayed for answer in answers].count(False) == 1
    await finished(processes, request.request_id)
    again = await processes.stub.ExecuteProcess(request)
    assert again.replayed
    assert again.execution.state == pb.EXECUTION_STATE_COMPLETED
    assert len(await processes.services.rows("select 1 from refinery.refinements")) == SEEDED + 3


async def test_the_same_request_is_the_same_execution_whatever_its_references_mean_today(
    processes: Processes,
) -> None:
    first = await processes.process("processes/small")
    request = asked("aug:/processes/small")
    await processes.stub.ExecuteProcess(request)
    await processes.process("processes/small", [{"other": {"set": {"b": 2}}}])
    again = await processes.stub.ExecuteProcess(request)
    assert again.replayed
    assert again.execution.process_ref == first


async def test_a_request_id_of_something_else_is_refused(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"a": 1})
    await processes.stub.ExecuteProcess(request)
    request.input.json = '{"a": 2}'
    assert (await reason(processes.stub.ExecuteProcess(request)))[0] == "REQUEST_ID_REUSED"
    used = uuid.uuid4()
    await processes.services.refine(Draft(type=VibeType.RECORD, id="orders/1"), request_id=used)
    other = asked("aug:/processes/small", request_id=str(used))
    assert (await reason(processes.stub.ExecuteProcess(other)))[0] == "REQUEST_ID_REUSED"


async def test_what_was_recorded_but_not_started_is_started_by_the_same_request(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes.process("processes/small")
    request = asked("aug:/processes/small")

    async def died(*_: Any) -> None:
        raise TemporalUnavailable(problem="the power is off")

    with monkeypatch.context() as patch:
        patch.setattr(Temporal, "start", died)
        assert (await reason(processes.stub.ExecuteProcess(request)))[0] == "TEMPORAL_UNAVAILABLE"
    await processes.process("processes/small", [{"other": {"set": {"b": 2}}}])
    again = await processes.stub.ExecuteProcess(request)
    assert again.replayed
    assert again.execution.process_ref == process
    assert (await finished(processes, request.request_id)).state == pb.EXECUTION_STATE_COMPLETED


async def test_what_was_recorded_but_not_started_is_not_started_by_who_only_asks(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/small")
    request, start = asked("aug:/processes/small"), Temporal.start
    id_ = request.request_id

    async def died(*_: Any) -> None:
        raise TemporalUnavailable(problem="the power is off")

    monkeypatch.setattr(Temporal, "start", died)
    assert (await reason(processes.stub.ExecuteProcess(request)))[0] == "TEMPORAL_UNAVAILABLE"
    monkeypatch.setattr(Temporal, "start", start)
    told = await processes.stub.GetExecution(pb.GetExecutionRequest(id=id_))
    assert told.execution.state == pb.EXECUTION_STATE_RUNNING
    with monkeypatch.context() as patch:
        patch.setattr(executions, "SOON", timedelta(0))
        assert await refusals(processes, id_) == {"EXECUTION_LOST"}
    assert await processes.executions.temporal.find(UUID(id_)) is None
    assert (await processes.stub.ExecuteProcess(request)).execution == told.execution
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_COMPLETED


async def test_a_large_input_travels_by_ref(processes: Processes) -> None:
    await processes.process("processes/small")
    large = {"text": "x" * 300_000}
    request = asked("aug:/processes/small", large)
    await processes.stub.ExecuteProcess(request)
    execution = await finished(processes, request.request_id)
    result = await processes.services.refinery.get_vibe(execution.result_ref)
    assert result.solution["input"] == large
    record = await processes.services.refinery.get_vibe(execution.record_ref)
    assert "input" not in record.solution
    assert record.solution["input_ref"] == f"main@executions/{request.request_id}/input?1"
    stored = await processes.services.refinery.get_vibe(record.solution["input_ref"])
    assert stored.solution == large
    assert (await processes.stub.ExecuteProcess(request)).replayed


async def test_a_faulted_execution_says_why(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"fault": True})
    await processes.stub.ExecuteProcess(request)
    execution = await finished(processes, request.request_id)
    assert execution.state == pb.EXECUTION_STATE_FAULTED
    assert execution.problem.status == 418
    assert execution.problem.instance == "/do/1/fall"
    assert not execution.HasField("result_ref")


async def test_a_watch_gives_each_event_once_and_resumes(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)
    watching = processes.stub.WatchExecution(pb.WatchExecutionRequest(id=request.request_id), timeout=20)
    watched = aiter(watching)
    first = await anext(watched)
    assert first.execution.state == pb.EXECUTION_STATE_RUNNING
    events = [(await anext(watched)).event for _ in range(3)]
    assert [event.number for event in events] == [1, 2, 3]
    assert [event.type for event in events] == [
        pb.EXECUTION_EVENT_TYPE_TASK_STARTED,
        pb.EXECUTION_EVENT_TYPE_TASK_ENDED,
        pb.EXECUTION_EVENT_TYPE_TASK_STARTED,
    ]
    story = await processes.stub.GetExecution(pb.GetExecutionRequest(id=request.request_id))
    assert [orjson.loads(filter_.json) for filter_ in story.execution.listening] == [
        {"any": [{"with": {"type": "heard"}}, {"with": {"type": "refinery.approval.v1"}}]}
    ]
    assert list(story.execution.tasks) == ["/do/2/hear"]
    await processes.stub.TerminateExecution(
        pb.TerminateExecutionRequest(id=request.request_id, reason="enough")
    )
    rest = [message async for message in watched]
    assert [message.event.type for message in rest] == [pb.EXECUTION_EVENT_TYPE_EXECUTION_ENDED]
    assert rest[-1].event.number == 4
    assert rest[-1].execution.state == pb.EXECUTION_STATE_TERMINATED
    resumed = pb.WatchExecutionRequest(id=request.request_id, after_number=2)
    numbers = [message.event.number async for message in processes.stub.WatchExecution(resumed, timeout=20)]
    assert numbers == [0, 3, 4]


@pytest.mark.parametrize("named", [True, False])
async def test_who_terminates_an_execution_is_the_author_of_its_end(
    processes: Processes, named: bool
) -> None:
    await processes.services.refine(Draft(type=VibeType.ROLE, id="roles/operator"))
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)
    author = "aug:/roles/operator" if named else ""
    end = pb.TerminateExecutionRequest(id=request.request_id, author_ref=author)
    await processes.stub.TerminateExecution(end)
    last = await processes.services.refinery.get_vibe(f"main@executions/{request.request_id}?2")
    assert last.author_ref == ("main@roles/operator?1" if named else AUTHOR)


async def test_nobody_terminates_in_the_name_of_who_is_not_there(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)
    for author, why in (("aug:/roles/nobody", "UNKNOWN_REFERENCE"), ("nobody", "INVALID_REFERENCE")):
        end = pb.TerminateExecutionRequest(id=request.request_id, author_ref=author)
        assert (await reason(processes.stub.TerminateExecution(end)))[0] == why
    story = await processes.stub.GetExecution(pb.GetExecutionRequest(id=request.request_id))
    assert story.execution.state == pb.EXECUTION_STATE_RUNNING


async def test_a_watch_ends_politely_when_the_server_drains(processes: Processes) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)
    watching = processes.stub.WatchExecution(pb.WatchExecutionRequest(id=request.request_id), timeout=20)
    watched = aiter(watching)
    await anext(watched)
    processes.drain.begin()

    async def rest() -> None:
        async for _ in watched:
            pass

    assert (await reason(rest()))[0] == "DRAINING"


async def test_a_client_watches_an_execution_on_over_many_ages_without_a_word(
    processes: Processes, client: Refinery
) -> None:
    processes.drain._stream_age_seconds = 0.1
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)

    async def all_of_it() -> None:
        async for _ in processes.stub.WatchExecution(pb.WatchExecutionRequest(id=request.request_id)):
            pass

    async def later() -> None:
        for _ in range(3):
            assert (await reason(all_of_it()))[0] == "DRAINING"
        end = pb.TerminateExecutionRequest(id=request.request_id, reason="enough")
        await processes.stub.TerminateExecution(end)

    ending = asyncio.create_task(later())
    told = [news async for news in client.watch_execution(UUID(request.request_id))]
    await ending
    assert [news.event.number for news in told if news.event] == [1, 2, 3, 4]
    stands = [news for news in told if news.execution]
    assert all(other.event or one.execution != other.execution for one, other in pairwise(stands))


async def test_cancel_and_terminate_are_idempotent_and_refused_after_another_end(
    processes: Processes,
) -> None:
    await processes.process("processes/small")
    done, waits = asked("aug:/processes/small"), asked("aug:/processes/small", {"listen": 1})
    for request in (done, waits):
        await processes.stub.ExecuteProcess(request)
    await finished(processes, done.request_id)
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=waits.request_id))
    assert (await finished(processes, waits.request_id)).state == pb.EXECUTION_STATE_CANCELLED
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=waits.request_id))
    refused = await reason(processes.stub.CancelExecution(pb.CancelExecutionRequest(id=done.request_id)))
    assert refused == ("EXECUTION_ENDED", {"id": done.request_id, "state": "COMPLETED"})
    ended = pb.TerminateExecutionRequest(id=waits.request_id)
    assert (await reason(processes.stub.TerminateExecution(ended)))[1]["state"] == "CANCELLED"


async def test_what_nobody_started_is_not_found(processes: Processes) -> None:
    id_ = str(uuid.uuid4())
    for call in (
        processes.stub.GetExecution(pb.GetExecutionRequest(id=id_)),
        processes.stub.CancelExecution(pb.CancelExecutionRequest(id=id_)),
        processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=id_)),
    ):
        assert await reason(call) == ("EXECUTION_NOT_FOUND", {"id": id_})


async def test_what_temporal_forgot_the_ledger_remembers(
    processes: Processes, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/small")
    completes, faults = asked("aug:/processes/small"), asked("aug:/processes/small", {"fault": 1})
    for request in (completes, faults):
        await processes.stub.ExecuteProcess(request)
    before = await finished(processes, completes.request_id)
    await finished(processes, faults.request_id)
    await forget(processes, temporal_address)
    monkeypatch.setattr(Temporal, "remembers_for", immediately)
    found = (await processes.stub.GetExecution(pb.GetExecutionRequest(id=before.id))).execution
    assert found.state == pb.EXECUTION_STATE_COMPLETED
    assert (found.result_ref, found.process_ref) == (before.result_ref, before.process_ref)
    assert (await finished(processes, before.id)).result_ref == before.result_ref
    again = await processes.stub.ExecuteProcess(completes)
    assert again.replayed
    assert again.execution.result_ref == before.result_ref
    assert (await reason(processes.stub.ExecuteProcess(faults)))[0] == "EXECUTION_FORGOTTEN"


async def test_what_temporal_lost_is_not_executed_again_because_somebody_asks(
    processes: Processes, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"fault": 1})
    await processes.stub.ExecuteProcess(request)
    await finished(processes, request.request_id)
    await forget(processes, temporal_address)
    monkeypatch.setattr(executions, "SOON", timedelta(0))
    assert await refusals(processes, request.request_id) == {"EXECUTION_LOST"}
    assert await processes.executions.temporal.find(UUID(request.request_id)) is None
    assert (await processes.stub.ExecuteProcess(request)).execution.id == request.request_id


async def refusals(processes: Processes, id_: str) -> set[str]:
    """The answers of every call about an execution, without executing it."""
    event = pb.Event(id="e", type="heard")
    ids = {"request_id": str(uuid.uuid4()), "execution_id": id_}
    calls: list[Awaitable[Any]] = [
        processes.stub.GetExecution(pb.GetExecutionRequest(id=id_)),
        processes.stub.SendEvent(pb.SendEventRequest(**ids, author_ref=AUTHOR, event=event)),
        processes.stub.CancelExecution(pb.CancelExecutionRequest(id=id_)),
        processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=id_)),
        finished(processes, id_),
    ]
    return {why for why, _ in await asyncio.gather(*map(reason, calls))}


async def forget(processes: Processes, temporal_address: str) -> None:
    """Have the service ask another namespace: there the executions are as unknown as what was forgotten."""
    settings = Settings(temporal_address=temporal_address, temporal_namespace=ELSEWHERE)
    object.__setattr__(processes.executions.temporal, "client", await connect(settings))


async def immediately(_: Temporal) -> timedelta:
    return timedelta(0)


async def test_a_result_in_the_place_of_a_record_is_refused_and_nothing_is_recorded(
    processes: Processes,
) -> None:
    process = await processes.process("processes/small")
    id_ = str(uuid.uuid4())
    before = await processes.services.rows("select max(position) from refinery.refinements")
    request = asked(process, request_id=id_, result_id=f"executions/{id_}")
    why, metadata = await reason(processes.stub.ExecuteProcess(request))
    assert (why, metadata["field"]) == ("INVALID_FIELD", "result_id")
    child = Begin(id_, process, f"executions/{id_}", {}, Behalf(AUTHOR, "main", process, ""))
    with pytest.raises(InvalidField, match=r"^result_id: "):
        await Documents(processes.services.refinery).begin(child)
    assert await processes.services.rows("select max(position) from refinery.refinements") == before


@pytest.mark.parametrize("solution", [1, {"terminated": 1}, {"terminated": {"reason": "enough"}}])
@pytest.mark.parametrize("is_result", [False, True])
async def test_an_execution_can_be_read_whatever_stands_in_the_place_of_its_end(
    processes: Processes, solution: Any, *, is_result: bool
) -> None:
    process = await processes.process("processes/small")
    request = asked(process, {"listen": 1})
    await processes.stub.ExecuteProcess(request)
    end = await processes.services.refinery.refine(
        request_id=result_key(workflow_id(UUID(request.request_id))),
        author_ref=AUTHOR,
        drafts=[Draft(type=VibeType.RECORD, id=f"executions/{request.request_id}", solution=solution)],
        instruction_refs=[process] if is_result else [],
    )
    told = (await processes.stub.GetExecution(pb.GetExecutionRequest(id=request.request_id))).execution
    if is_result:
        assert (told.state, told.result_ref) == (pb.EXECUTION_STATE_COMPLETED, end.vibes[0].ref)
    else:
        assert told.state == pb.EXECUTION_STATE_TERMINATED
        assert told.problem.detail == ("enough" if solution == {"terminated": {"reason": "enough"}} else "")


async def test_a_reason_is_a_short_text(processes: Processes) -> None:
    id_, long = str(uuid.uuid4()), "x" * 1_025
    for call in (
        processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=id_, reason=long)),
        processes.stub.PauseSchedule(pb.PauseScheduleRequest(id=id_, reason=long)),
    ):
        why, metadata = await reason(call)
        assert (why, metadata["field"]) == ("INVALID_FIELD", "reason")
