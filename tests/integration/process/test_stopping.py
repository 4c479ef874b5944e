"""Cancelled and terminated executions end, and every answer tells the same outcome, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from process_worker.activities.outside.documents import Documents
from process_worker.temporal.client import Temporal
from process_worker.workflow.steps import Begin, Begun, Behalf, Commit
from refinery.process.v1 import process_service_pb2 as pb
from refinery_core.errors import TemporalUnavailable
from tests.cases.scenario import Scenario, says
from tests.integration.conftest import AUTHOR, Services
from tests.integration.process.conftest import Processes
from tests.integration.process.executor import executing
from tests.integration.process.test_events import heard
from tests.integration.process.test_executions import asked, finished, reason
from tests.support.waiting import PATIENCE, until

WAITS: list[Any] = [{"w": {"wait": "P1D"}}]


class Gate:
    """Holds the commits of one process, before or after they are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, process: str, *, after: bool = False) -> None:
        self.reached, self.opened, self.passed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        real = Documents.commit

        async def commit(documents: Documents, asked: Commit) -> str:
            if f"@{process}?" not in asked.behalf.process_ref:
                return await real(documents, asked)
            try:
                ref = await real(documents, asked) if after else ""
                self.reached.set()
                await self.opened.wait()
                return ref or await real(documents, asked)
            finally:
                self.passed.set()

        monkeypatch.setattr(Documents, "commit", commit)

    async def is_reached(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.reached.wait()

    async def open(self) -> None:
        self.opened.set()
        async with asyncio.timeout(PATIENCE):
            await self.passed.wait()


def runs(name: str) -> dict[str, Any]:
    return {"run": {"workflow": {"namespace": "t", "name": f"aug:/{name}", "version": "1.0.0"}}}


def gets(processes: Processes, path: str) -> dict[str, Any]:
    return {"call": "http", "with": {"method": "get", "endpoint": processes.web.base + path}}


async def execution(processes: Processes, id_: str) -> pb.Execution:
    return (await processes.stub.GetExecution(pb.GetExecutionRequest(id=id_))).execution


async def child_of(processes: Processes, id_: str) -> str:
    """The execution that another one runs, once it is begun."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for vibe in processes.services.refinery.list_vibes(id_prefix="executions/", full=True):
                child = vibe.id.removeprefix("executions/")
                if vibe.solution.get("parent_ref") and child != id_:
                    with contextlib.suppress(RPCError):  # It is about to be started.
                        await processes.temporal.get_workflow_handle(f"execution/{child}").describe()
                        return child
            await asyncio.sleep(0.05)


async def until_in_history(processes: Processes, id_: str, kind: EventType.ValueType) -> None:
    """Wait until an execution has heard of something, and has done what it does then."""
    handle = processes.temporal.get_workflow_handle(f"execution/{id_}")

    async def is_done() -> bool:
        kinds = [event.event_type for event in (await handle.fetch_history()).events]
        return kind in kinds and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in kinds[kinds.index(kind) :]

    await until(is_done)


async def results(processes: Processes, process: str) -> list[str]:
    kept = processes.services.refinery.list_vibes(id_prefix=f"{process}/results/")
    return [vibe.ref async for vibe in kept]


# --- Terminate ----------------------------------------------------------------------------


async def test_what_is_terminated_while_it_commits_has_no_result_ever(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/late", [{"s": {"set": {"x": 1}}}])
    gate, request = Gate(monkeypatch, "processes/late"), asked("aug:/processes/late")
    await processes.stub.ExecuteProcess(request)
    await gate.is_reached()
    terminate = pb.TerminateExecutionRequest(id=request.request_id, reason="enough")
    await processes.stub.TerminateExecution(terminate)
    await gate.open()
    assert await results(processes, "processes/late") == []

    async def forgotten(*_: Any) -> None:
        return None

    for forgets in (False, True):
        if forgets:
            monkeypatch.setattr(Temporal, "find", forgotten)
        told = await execution(processes, request.request_id)
        assert told.state == pb.EXECUTION_STATE_TERMINATED
        assert told.problem.detail == "enough"
        assert not told.HasField("result_ref")
    record = f"main@executions/{request.request_id}"
    first, last = [await processes.services.refinery.get_vibe(f"{record}?{n}") for n in (1, 2)]
    assert last.solution == {**first.solution, "terminated": {"reason": "enough"}}
    assert (await processes.stub.ExecuteProcess(request)).execution.state == pb.EXECUTION_STATE_TERMINATED
    await processes.stub.TerminateExecution(terminate)


async def test_what_has_its_result_is_completed_although_temporal_has_not_heard_of_it(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/done", [{"s": {"set": {"x": 1}}}])
    gate, request = Gate(monkeypatch, "processes/done", after=True), asked("aug:/processes/done")
    await processes.stub.ExecuteProcess(request)
    await gate.is_reached()
    terminate = processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=request.request_id))
    assert await reason(terminate) == ("EXECUTION_ENDED", {"id": request.request_id, "state": "COMPLETED"})
    told = await execution(processes, request.request_id)
    assert told.state == pb.EXECUTION_STATE_COMPLETED
    assert [told.result_ref] == await results(processes, "processes/done")
    # Stopping it in Temporal directly does not change that.
    await processes.temporal.get_workflow_handle(f"execution/{request.request_id}").terminate()
    await gate.open()
    assert await execution(processes, request.request_id) == told
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while True:
            page = await processes.stub.ListExecutions(
                pb.ListExecutionsRequest(process_ref=told.process_ref, state=pb.EXECUTION_STATE_TERMINATED)
            )
            listed = [each for each in page.executions if each.id == request.request_id]
            if listed:
                break
            await asyncio.sleep(0.05)
    assert (listed[0].state, listed[0].result_ref) == (pb.EXECUTION_STATE_COMPLETED, told.result_ref)


async def test_what_was_recorded_but_not_started_is_terminated_too(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/slow", WAITS)
    request = asked("aug:/processes/slow")

    async def died(*_: Any) -> None:
        raise TemporalUnavailable(problem="the power is off")

    with monkeypatch.context() as patch:
        patch.setattr(Temporal, "start", died)
        assert (await reason(processes.stub.ExecuteProcess(request)))[0] == "TEMPORAL_UNAVAILABLE"
    await processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=request.request_id))
    assert (await execution(processes, request.request_id)).state == pb.EXECUTION_STATE_TERMINATED
    again = await processes.stub.ExecuteProcess(request)
    assert again.execution.state == pb.EXECUTION_STATE_TERMINATED
    assert await processes.executions.temporal.find(uuid.UUID(request.request_id)) is None


async def test_what_is_terminated_before_it_is_started_does_nothing_when_it_is(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.web.script({"/next": [(200, 1)]})
    await processes.process("processes/inner", [{"n": gets(processes, "/next")}])
    do = [{"s": {"set": {"caught": "${ $error.detail }"}}}]
    tried = {"try": [{"r": runs("processes/inner")}], "catch": {"as": "error", "do": do}}
    await processes.process("processes/outer", [{"t": tried}])
    real, begun = Documents.begin, list[str]()

    async def terminated(documents: Documents, begin: Begin) -> Begun:
        record = await real(documents, begin)
        await processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=begin.key, reason="enough"))
        begun.append(begin.key)
        return record

    monkeypatch.setattr(Documents, "begin", terminated)
    request = asked("aug:/processes/outer")
    await processes.stub.ExecuteProcess(request)
    ended = await finished(processes, request.request_id)
    result = await processes.services.refinery.get_vibe(ended.result_ref)
    assert result.solution == {"caught": "The execution was terminated."}
    assert processes.web.asked == []
    told = await execution(processes, begun[0])
    assert (told.state, told.problem.detail) == (pb.EXECUTION_STATE_TERMINATED, "enough")


async def test_what_was_terminated_only_in_the_ledger_is_terminated_by_whoever_asks_next(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/slow", WAITS)
    request = asked("aug:/processes/slow")
    await processes.stub.ExecuteProcess(request)
    handle = processes.temporal.get_workflow_handle(f"execution/{request.request_id}")
    async with asyncio.timeout(PATIENCE):
        while EventType.EVENT_TYPE_TIMER_STARTED not in await events(handle):
            await asyncio.sleep(0.05)

    async def died(*_: Any) -> bool:
        raise TemporalUnavailable(problem="the power is off")

    with monkeypatch.context() as patch:
        patch.setattr(Temporal, "terminate", died)
        terminate = pb.TerminateExecutionRequest(id=request.request_id, reason="enough")
        refused = await reason(processes.stub.TerminateExecution(terminate))
        assert refused[0] == "TEMPORAL_UNAVAILABLE"
        told = await execution(processes, request.request_id)
        assert told.state == pb.EXECUTION_STATE_TERMINATED
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await execution(processes, request.request_id) == told
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED


# --- Cancel -------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancel_is_not_lost_where_a_new_run_was_to_go_on(
    services: Services, temporal: Client, *, cancel_first: bool
) -> None:
    tasks: list[Any] = [{"w": {"wait": "PT2S"}}, {"a": says(n=1)}, {"v": {"wait": "P1D"}}]
    async with executing(services, temporal) as executor:
        handle = await executor.start(await executor.process(Scenario("t", tasks)), max_history=8)
        async with asyncio.timeout(PATIENCE):
            while EventType.EVENT_TYPE_TIMER_STARTED not in await events(handle):
                await asyncio.sleep(0.05)
    # Without a worker, both are there before either is noticed.
    if cancel_first:
        await handle.cancel()
    async with asyncio.timeout(PATIENCE):
        while EventType.EVENT_TYPE_TIMER_FIRED not in await events(handle):
            await asyncio.sleep(0.05)
    if not cancel_first:
        await handle.cancel()
    async with executing(services, temporal), asyncio.timeout(PATIENCE):
        while (status := (await handle.describe()).status) is WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.05)
    assert status is WorkflowExecutionStatus.CANCELED


async def test_a_cancel_is_not_lost_where_what_is_run_is_about_to_end(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.web.script({"/next": [(200, 1)], "/undo": [(200, 1)]})
    await processes.process("processes/inner", [{"s": {"set": {"x": 1}}}])
    tried = {"try": [{"r": runs("processes/inner")}, {"n": gets(processes, "/next")}]}
    await processes.process(
        "processes/outer", [{"t": {**tried, "catch": {"do": [{"u": gets(processes, "/undo")}]}}}]
    )
    gate, request = Gate(monkeypatch, "processes/inner"), asked("aug:/processes/outer")
    await processes.stub.ExecuteProcess(request)
    await gate.is_reached()
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=request.request_id))
    inner = await child_of(processes, request.request_id)
    await until_in_history(processes, inner, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED)
    await gate.open()
    assert (await finished(processes, request.request_id)).state == pb.EXECUTION_STATE_CANCELLED
    assert processes.web.asked == ["/undo"]


async def test_a_branch_that_has_lost_does_nothing_more(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.web.script({"/next": [(200, 1)]})
    await processes.process("processes/inner", [{"s": {"set": {"x": 1}}}])
    loses = {"do": [{"r": runs("processes/inner")}, {"n": gets(processes, "/next")}]}
    wins = {"listen": {"to": {"one": {"with": {"type": "heard"}}}}}
    race = {"fork": {"compete": True, "branches": [{"wins": wins}, {"loses": loses}]}}
    await processes.process("processes/outer", [{"race": race}])
    gate, request = Gate(monkeypatch, "processes/inner"), asked("aug:/processes/outer")
    await processes.stub.ExecuteProcess(request)
    await gate.is_reached()
    await processes.stub.SendEvent(heard(request.request_id))
    await gate.open()
    assert (await finished(processes, request.request_id)).state == pb.EXECUTION_STATE_COMPLETED
    assert processes.web.asked == []


async def test_what_somebody_else_stops_is_a_fault_of_the_task_that_runs_it(processes: Processes) -> None:
    processes.web.script({"/undo": [(200, 1)]})
    await processes.process("processes/inner", WAITS)
    do = [{"u": gets(processes, "/undo")}, {"s": {"set": {"caught": "${ $error.type }"}}}]
    tried = {"try": [{"r": runs("processes/inner")}], "catch": {"as": "error", "do": do}}
    await processes.process("processes/outer", [{"t": tried}])
    request = asked("aug:/processes/outer")
    await processes.stub.ExecuteProcess(request)
    child = await child_of(processes, request.request_id)
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=child))
    ended = await finished(processes, request.request_id)
    assert ended.state == pb.EXECUTION_STATE_COMPLETED
    result = await processes.services.refinery.get_vibe(ended.result_ref)
    assert result.solution == {"caught": "urn:refinery:cancelled"}
    assert processes.web.asked == ["/undo"]


async def test_what_was_begun_and_never_started_is_cancelled_once_nobody_can_start_it(
    processes: Processes,
) -> None:
    process = await processes.process("processes/inner", WAITS)
    outer = asked("aug:/processes/inner")
    parent = (await processes.stub.ExecuteProcess(outer)).execution.record_ref
    documents = Documents(processes.services.refinery)
    id_, behalf = str(uuid.uuid4()), Behalf(AUTHOR, "main", process, parent)
    begun = await documents.begin(Begin(id_, process, f"r/{id_}", {}, behalf, {}))
    told = await execution(processes, id_)
    assert (told.state, told.record_ref) == (pb.EXECUTION_STATE_RUNNING, begun.record_ref)
    await processes.stub.TerminateExecution(pb.TerminateExecutionRequest(id=outer.request_id))
    assert (await execution(processes, id_)).state == pb.EXECUTION_STATE_CANCELLED
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_CANCELLED
    await processes.stub.CancelExecution(pb.CancelExecutionRequest(id=id_))


async def events(handle: WorkflowHandle[Any, Any]) -> list[int]:
    return [event.event_type for event in (await handle.fetch_history()).events]


# --- What is said -------------------------------------------------------------------------


async def test_what_completed_is_told_while_temporal_is_away(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/done", [{"s": {"set": {"x": 1}}}])
    request = asked("aug:/processes/done")
    await processes.stub.ExecuteProcess(request)
    ended = await finished(processes, request.request_id)

    async def away(*_: Any) -> None:
        raise TemporalUnavailable(problem="the power is off")

    for name in ("find", "progress"):
        monkeypatch.setattr(Temporal, name, away)
    assert await execution(processes, request.request_id) == ended


async def test_an_execution_began_when_it_was_recorded_however_many_runs_it_takes(
    processes: Processes,
) -> None:
    await processes.process("processes/waits", WAITS)
    request = asked("aug:/processes/waits")
    begun = (await processes.stub.ExecuteProcess(request)).execution
    record = await processes.services.refinery.get_refinement(vibe_ref=begun.record_ref)
    assert begun.start_time.ToMicroseconds() == round(record.time.timestamp() * 1_000_000)
    assert (await execution(processes, begun.id)).start_time == begun.start_time
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while True:
            page = await processes.stub.ListExecutions(
                pb.ListExecutionsRequest(process_ref=begun.process_ref, state=pb.EXECUTION_STATE_RUNNING)
            )
            if listed := [each for each in page.executions if each.id == begun.id]:
                break
            await asyncio.sleep(0.05)
    assert listed[0].start_time == begun.start_time
