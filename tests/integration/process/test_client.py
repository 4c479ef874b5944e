from __future__ import annotations

import asyncio
import uuid

import pytest

from refinery_client import ExecutionEventType, ExecutionState, Refinery
from refinery_core.errors import ExecutionEnded, ExecutionNotFound, RequestIdReused
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.support.waiting import PATIENCE


async def test_a_client_starts_follows_answers_and_finds_an_execution(processes: Processes) -> None:
    process = await processes.process("processes/small")
    async with Refinery.connect(process=processes.address) as refinery:
        id_ = uuid.uuid4()
        started = await refinery.execute_process(
            process, author_ref=AUTHOR, input={"listen": True}, request_id=id_
        )
        assert started.execution.state is ExecutionState.RUNNING
        again = await refinery.execute_process(
            process, author_ref=AUTHOR, input={"listen": True}, request_id=id_
        )
        assert again.replayed
        seen: list[ExecutionEventType] = []
        last = None
        async for news in refinery.watch_execution(id_):
            if news.event is not None:
                seen.append(news.event.type)
                if (news.event.type, news.event.task) == (ExecutionEventType.TASK_STARTED, "/do/2/hear"):
                    sent = await refinery.send_event(
                        id_, author_ref=AUTHOR, id="e1", type="heard", data={"n": 1}
                    )
            last = news.execution
        assert [*map(str, seen)] == ["TASK_STARTED", "TASK_ENDED"] * 3 + ["EXECUTION_ENDED"]
        assert sent.event_ref == f"main@executions/{id_}/events/e1?1"
        assert last is not None
        assert last.state is ExecutionState.COMPLETED
        story = await refinery.get_execution(id_)
        assert story.execution == last
        assert [event.number for event in story.events] == [1, 2, 3, 4, 5, 6, 7]
        with pytest.raises(ExecutionEnded):
            await refinery.terminate_execution(id_)


async def test_refusals_arrive_as_their_classes(processes: Processes) -> None:
    process = await processes.process("processes/small")
    async with Refinery.connect(process=processes.address) as refinery:
        id_ = uuid.uuid4()
        with pytest.raises(ExecutionNotFound):
            await refinery.get_execution(id_)
        await refinery.execute_process(process, author_ref=AUTHOR, request_id=id_)
        with pytest.raises(RequestIdReused):
            await refinery.execute_process(process, author_ref=AUTHOR, request_id=id_, input=[1])


async def test_a_client_lists_and_stops_executions(processes: Processes) -> None:
    process = await processes.process("processes/listed")
    async with Refinery.connect(process=processes.address) as refinery:
        ids = [
            (await refinery.execute_process(process, author_ref=AUTHOR, input={"listen": True})).execution.id
            for _ in range(3)
        ]
        await refinery.terminate_execution(ids[0], reason="enough")
        await refinery.cancel_execution(ids[1])
        async with asyncio.timeout(PATIENCE):
            while True:
                listed = [each async for each in refinery.list_executions(process_ref=process, page_size=2)]
                states = {each.id: str(each.state) for each in listed}
                if states == dict(zip(ids, ["TERMINATED", "CANCELLED", "RUNNING"], strict=True)):
                    break
                await asyncio.sleep(0.05)
        assert listed[0].state is ExecutionState.RUNNING
