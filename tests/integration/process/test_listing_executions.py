from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from process_worker.door import pages
from process_worker.temporal.client import Temporal
from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import RECORD_MEMO, START_MEMO, TASK_QUEUE, WORKFLOW, Start
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import Execution, ExecutionState, Refinery
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import asked, finished, reason
from tests.support.waiting import PATIENCE


async def test_executions_are_listed_by_process_and_state(processes: Processes) -> None:
    one, other = await processes.process("processes/one"), await processes.process("processes/other")
    ids: list[str] = []
    for process, input_ in ((one, {}), (one, {"fault": 1}), (one, {"listen": 1}), (other, {})):
        request = asked(process, input_)
        await processes.stub.ExecuteProcess(request)
        ids.append(request.request_id)
        if "listen" not in input_:
            await finished(processes, request.request_id)

    async def listed(**fields: Any) -> list[str]:
        found: list[str] = []
        request = pb.ListExecutionsRequest(page_size=2, **fields)
        while True:
            page = await processes.stub.ListExecutions(request)
            found += [execution.id for execution in page.executions]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    deadline = asyncio.get_running_loop().time() + PATIENCE
    completed = {"process_ref": other, "state": pb.EXECUTION_STATE_COMPLETED}
    # Temporal lists with a short delay.
    while await listed(process_ref=one) != [ids[2], ids[1], ids[0]] or await listed(**completed) != [ids[3]]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)
    assert await listed(process_ref=one, state=pb.EXECUTION_STATE_RUNNING) == [ids[2]]
    assert await listed(process_ref=one, state=pb.EXECUTION_STATE_FAULTED) == [ids[1]]
    assert await listed(process_ref=other, state=pb.EXECUTION_STATE_CANCELLED) == []
    page = await processes.stub.ListExecutions(pb.ListExecutionsRequest(process_ref=one, page_size=1))
    moved = pb.ListExecutionsRequest(process_ref=other, page_size=1, page_token=page.next_page_token)
    assert (await reason(processes.stub.ListExecutions(moved)))[0] == "INVALID_PAGE_TOKEN"


async def test_a_list_goes_on_where_an_answer_had_no_more_room(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes.process("processes/roomy")
    requests = [asked(process, {"listen": 1}) for _ in range(5)]
    for request in requests:
        await processes.stub.ExecuteProcess(request)
    monkeypatch.setattr(pages, "PAGE_BYTES", 1_000)
    async with Refinery.connect(process=processes.address) as client, asyncio.timeout(PATIENCE):
        while True:  # Temporal lists with a short delay.
            listed = [str(each.id) async for each in client.list_executions(process_ref=process)]
            if sorted(listed) == sorted(request.request_id for request in requests):
                break
            await asyncio.sleep(0.1)
    page = await processes.stub.ListExecutions(pb.ListExecutionsRequest(process_ref=process))
    assert 0 < len(page.executions) < 5
    assert page.next_page_token


async def test_what_temporal_forgets_while_it_is_listed_is_left_out(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Temporal.page

    async def page(temporal: Temporal, *arguments: Any) -> Any:
        found, following = await real(temporal, *arguments)
        ended = [
            Execution(uuid.uuid4(), AUTHOR, state, datetime.now(UTC), None, (), (), None, None, AUTHOR)
            for state in (ExecutionState.COMPLETED, ExecutionState.FAULTED)
        ]
        return [*found, *ended], following

    monkeypatch.setattr(Temporal, "page", page)
    assert (
        await processes.stub.ListExecutions(pb.ListExecutionsRequest(process_ref=AUTHOR))
    ).executions == []


async def test_what_others_run_in_the_namespace_is_not_listed(processes: Processes) -> None:
    process = await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": 1})
    await processes.stub.ExecuteProcess(request)
    # A workflow of another kind, and one of ours that another client of Temporal started with its own memo.
    strange, odd = uuid.uuid4(), uuid.uuid4()
    start = Start(process, process, AUTHOR, "main", "results/1", {"listen": 1})
    for id_, queue in ((workflow_id(strange), "theirs"), (f"execution/{odd.hex}", TASK_QUEUE)):
        await processes.temporal.start_workflow(WORKFLOW, start, id=id_, task_queue=queue)
    memo = {START_MEMO: "yesterday", RECORD_MEMO: {"n": 1}}
    id_ = workflow_id(odd)
    await processes.temporal.start_workflow(WORKFLOW, start, id=id_, task_queue=TASK_QUEUE, memo=memo)
    async with asyncio.timeout(PATIENCE):  # Temporal lists with a short delay.
        while (
            len([each async for each in processes.temporal.list_workflows("ExecutionStatus='Running'")]) < 4
        ):
            await asyncio.sleep(0.1)
    page = await processes.stub.ListExecutions(pb.ListExecutionsRequest(state=pb.EXECUTION_STATE_RUNNING))
    assert {each.id for each in page.executions} == {request.request_id, str(odd)}
    (listed,) = (each for each in page.executions if each.id == str(odd))
    assert (listed.record_ref, listed.start_time.seconds > 0) == ("", True)
