from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from temporalio.client import Schedule as TheirSchedule
from temporalio.client import ScheduleActionStartWorkflow, ScheduleBackfill, ScheduleSpec

from process_worker.door import pages
from process_worker.door.commands import ExecutionFilter
from process_worker.temporal.timetable import Timetable
from process_worker.workflow.keys import temporal_schedule_id
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import (
    Draft,
    ExecutionState,
    Firing,
    Refinery,
    Schedule,
    ScheduleState,
    Vibe,
)
from refinery_core.errors import (
    ExecutionNotFound,
    ProcessNotExecutable,
    RequestIdReused,
    ScheduleNotFound,
    VibeNotFound,
)
from refinery_core.pages import page_token
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_command import refinery as command
from tests.integration.process.test_executions import reason
from tests.support import waiting
from tests.support.waiting import PATIENCE

NEVER = {"cron": "0 0 29 2 *"}
"""A schedule that no test lives to see fire by itself."""
DO: list[Any] = [{"note": {"set": {"seen": "${ .n }", "at": "${ $workflow.id }"}}}]


async def fire(processes: Processes, id_: UUID) -> None:
    """Have Temporal fire it once, now."""
    await processes.temporal.get_schedule_handle(temporal_schedule_id(id_)).trigger()


async def until(
    client: Refinery,
    id_: UUID,
    is_there: Callable[[Schedule], bool] = lambda schedule: bool(schedule.firings),
) -> Schedule:
    async with asyncio.timeout(PATIENCE):
        while True:
            schedule = await client.get_schedule(id_)
            if is_there(schedule):
                return schedule
            await asyncio.sleep(0.05)


async def outcome(processes: Processes, client: Refinery, firing: Firing) -> Vibe:
    """The result of the execution of a firing."""
    assert firing.execution_id is not None
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(ExecutionNotFound):  # It is being started.
                execution = (await client.get_execution(firing.execution_id)).execution
                if execution.state is not ExecutionState.RUNNING:
                    break
            await asyncio.sleep(0.05)
    assert execution.result_ref is not None, execution
    return await processes.services.refinery.get_vibe(execution.result_ref)


async def test_a_process_is_executed_every_second_until_its_schedule_is_ended(
    processes: Processes, client: Refinery
) -> None:
    process = await processes.process("processes/often", DO, schedule={"every": {"seconds": 1}})
    made = await client.schedule_process("aug:/processes/often", author_ref=AUTHOR, input={"n": 7})
    schedule = made.schedule
    assert (schedule.state, schedule.every, schedule.cron) == (
        ScheduleState.ACTIVE,
        timedelta(seconds=1),
        None,
    )
    assert (schedule.process, schedule.process_ref) == ("aug:/processes/often", process)
    assert schedule.record_ref == f"main@schedules/{schedule.id}?1"
    seen = await until(client, schedule.id, lambda schedule: len(schedule.firings) >= 2)
    first, second = seen.firings[:2]
    assert second.time - first.time == timedelta(seconds=1)
    # Firings that have not begun an execution when the schedule is ended begin none.
    results = [await outcome(processes, client, firing) for firing in (first, second)]
    await client.end_schedule(schedule.id)
    for firing, result in zip((first, second), results, strict=True):
        assert result.solution == {"seen": 7, "at": f"execution/{firing.execution_id}"}
        assert result.id == f"processes/often/results/{firing.execution_id}"
        lineage = await processes.services.refinery.get_refinement(vibe_ref=result.ref)
        assert schedule.record_ref in lineage.target_refs
        assert process in lineage.instruction_refs
    ended = await client.get_schedule(schedule.id)
    assert ended.state is ScheduleState.ENDED
    assert ended.end_time is not None
    assert not ended.next_times


async def test_next_times_are_those_of_the_cron_expression(processes: Processes, client: Refinery) -> None:
    await processes.process("processes/daily", DO, schedule={"cron": "30 6 * * MON-FRI"})
    schedule = (await client.schedule_process("aug:/processes/daily", author_ref=AUTHOR)).schedule
    assert schedule.cron == "30 6 * * MON-FRI"
    assert len(schedule.next_times) == 10
    assert {(time.hour, time.minute) for time in schedule.next_times} == {(6, 30)}
    assert all(time.weekday() < 5 for time in schedule.next_times)
    assert list(schedule.next_times) == sorted(schedule.next_times)


async def test_intervals_are_counted_from_when_the_schedule_was_made(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/hourly", DO, schedule={"every": "PT7H"})
    schedule = (await client.schedule_process("aug:/processes/hourly", author_ref=AUTHOR)).schedule
    late = schedule.next_times[0] - (schedule.start_time + timedelta(hours=7))
    assert abs(late) <= timedelta(seconds=1)


async def test_the_same_request_is_the_same_schedule(processes: Processes, client: Refinery) -> None:
    await processes.process("processes/same", DO, schedule=NEVER)
    id_ = uuid.uuid4()

    async def ask(**fields: Any) -> Any:
        return await client.schedule_process(
            "aug:/processes/same", author_ref=AUTHOR, request_id=id_, **fields
        )

    all_of_them = await asyncio.gather(*(ask(input={"n": 1}) for _ in range(8)))
    assert {each.schedule.id for each in all_of_them} == {id_}
    assert sorted(each.replayed for each in all_of_them) == [False] + [True] * 7
    with pytest.raises(RequestIdReused):
        await ask(input={"n": 2})
    assert [each.id async for each in client.list_schedules()].count(id_) == 1


async def test_an_execution_is_no_schedule_and_a_schedule_no_execution(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/both", DO, schedule=NEVER)
    once = (await client.execute_process("aug:/processes/both", author_ref=AUTHOR)).execution
    again = (await client.schedule_process("aug:/processes/both", author_ref=AUTHOR)).schedule
    with pytest.raises(ScheduleNotFound):
        await client.get_schedule(once.id)
    with pytest.raises(RequestIdReused):
        await client.schedule_process("aug:/processes/both", author_ref=AUTHOR, request_id=once.id)
    with pytest.raises(RequestIdReused):
        await client.execute_process("aug:/processes/both", author_ref=AUTHOR, request_id=again.id)


async def test_what_cannot_be_scheduled_is_refused_and_changes_nothing(
    processes: Processes, client: Refinery
) -> None:
    plain = await processes.process("processes/plain", DO)
    position = (await processes.services.refinery.get_vibe(plain)).position
    with pytest.raises(ProcessNotExecutable, match="it has no schedule"):
        await client.schedule_process(plain, author_ref=AUTHOR)
    with pytest.raises(VibeNotFound):
        await client.schedule_process("aug:/processes/none", author_ref=AUTHOR)
    with pytest.raises(ScheduleNotFound):
        await client.get_schedule(uuid.uuid4())
    for ask in (client.pause_schedule, client.resume_schedule, client.end_schedule):
        with pytest.raises(ScheduleNotFound):
            await ask(uuid.uuid4())
    after = [vibe async for vibe in processes.services.refinery.list_vibes(after_position=position)]
    assert after == []


async def test_a_floating_process_is_followed_by_its_schedule(processes: Processes, client: Refinery) -> None:
    await processes.process("processes/changing", [{"say": {"set": {"version": 1}}}], schedule=NEVER)
    id_ = (await client.schedule_process("aug:/processes/changing", author_ref=AUTHOR)).schedule.id
    second = await processes.process("processes/changing", [{"say": {"set": {"version": 2}}}], schedule=NEVER)
    await fire(processes, id_)
    (firing,) = (await until(client, id_)).firings
    result = await outcome(processes, client, firing)
    assert result.solution == {"version": 2}
    assert second in (await processes.services.refinery.get_refinement(vibe_ref=result.ref)).instruction_refs


async def test_the_results_of_a_schedule_may_be_revisions_of_one_id(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/report", DO, schedule=NEVER)
    scheduled = await client.schedule_process(
        "aug:/processes/report", author_ref=AUTHOR, input={"n": 1}, result_id="reports/daily"
    )
    id_ = scheduled.schedule.id
    await fire(processes, id_)
    await outcome(processes, client, (await until(client, id_)).firings[0])
    fired = int(time.time())
    await waiting.until(
        lambda: int(time.time()) > fired
    )  # Temporal's ids of firings have the second in them.
    await fire(processes, id_)
    last = (await until(client, id_, lambda schedule: len(schedule.firings) == 2)).firings[-1]
    assert (await outcome(processes, client, last)).ref == "main@reports/daily?2"


async def test_a_large_input_travels_by_ref(processes: Processes, client: Refinery) -> None:
    await processes.process(
        "processes/large", [{"count": {"set": {"n": "${ .text | length }"}}}], schedule=NEVER
    )
    input_ = {"text": "x" * 400_000}
    id_ = (await client.schedule_process("aug:/processes/large", author_ref=AUTHOR, input=input_)).schedule.id
    record = (await processes.services.refinery.get_vibe(f"main@schedules/{id_}?1")).solution
    assert "input" not in record
    assert record["input_ref"] == f"main@schedules/{id_}/input?1"
    await fire(processes, id_)
    (firing,) = (await until(client, id_)).firings
    assert (await outcome(processes, client, firing)).solution == {"n": 400_000}


async def test_a_firing_that_is_refused_says_why_and_the_next_one_goes_on(
    processes: Processes, client: Refinery, caplog: pytest.LogCaptureFixture
) -> None:
    await processes.process("processes/broken", DO, schedule=NEVER)
    id_ = (await client.schedule_process("aug:/processes/broken", author_ref=AUTHOR)).schedule.id
    empty = Draft(type=VibeType.PROCESS, id="processes/broken")
    await processes.services.refine(empty)
    await fire(processes, id_)
    schedule = await until(client, id_, lambda schedule: any(each.problem for each in schedule.firings))
    (firing,) = schedule.firings
    assert firing.execution_id is None
    assert firing.problem == "'main@processes/broken?2' cannot be executed: it has no solution."
    assert schedule.state is ScheduleState.ACTIVE
    assert not [record for record in caplog.records if record.exc_info], "that is nothing to wake anybody for"


async def test_a_schedule_that_temporal_never_heard_of_is_started_by_whoever_asks_next(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/lost", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/lost", author_ref=AUTHOR)).schedule
    # As if the worker that made it had died between the ledger and Temporal.
    assert await Timetable(processes.temporal).end(made.id)
    assert await client.get_schedule(made.id) == made


async def test_each_time_is_one_execution_however_often_it_is_fired(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/again", DO, schedule={"every": "PT1H"})
    made = (await client.schedule_process("aug:/processes/again", author_ref=AUTHOR)).schedule
    handle = processes.temporal.get_schedule_handle(temporal_schedule_id(made.id))
    # Temporal fires the same time again: by hand here, else after an outage.
    hour = ScheduleBackfill(
        made.next_times[0] - timedelta(hours=1.5), made.next_times[0] - timedelta(hours=0.5)
    )
    await handle.backfill(hour)
    await until(client, made.id)
    await handle.backfill(hour)
    schedule = await until(client, made.id, lambda schedule: len(schedule.firings) >= 1)
    await outcome(processes, client, schedule.firings[0])
    ids = {firing.execution_id for firing in (await client.get_schedule(made.id)).firings}
    assert len(ids) == 1
    records = [each async for each in processes.services.refinery.list_vibes(id_prefix="executions/")]
    assert len(records) == 1


async def test_schedules_are_listed_by_process_page_by_page(processes: Processes, client: Refinery) -> None:
    first = await processes.process("processes/one", DO, schedule=NEVER)
    other = await processes.process("processes/two", DO, schedule=NEVER)
    made = [(await client.schedule_process(first, author_ref=AUTHOR)).schedule for _ in range(3)]
    await client.schedule_process(other, author_ref=AUTHOR)
    wanted = {schedule.id for schedule in made}
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while {each.id async for each in client.list_schedules(process_ref=first, page_size=2)} != wanted:
            await asyncio.sleep(0.05)
    (found,) = [each async for each in client.list_schedules(process_ref=first) if each.id == made[0].id]
    assert (found.process, found.start_time, found.cron) == (f"aug:{first}", made[0].start_time, made[0].cron)
    page = await processes.stub.ListSchedules(pb.ListSchedulesRequest(process_ref=first, page_size=2))
    assert page.next_page_token
    with pytest.raises(grpc.aio.AioRpcError, match="does not belong to this list"):
        await processes.stub.ListSchedules(
            pb.ListSchedulesRequest(process_ref=other, page_token=page.next_page_token)
        )


async def test_a_list_goes_on_where_an_answer_had_no_more_room(
    processes: Processes, client: Refinery, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await processes.process("processes/many", DO, schedule=NEVER)
    made = {(await client.schedule_process(process, author_ref=AUTHOR)).schedule.id for _ in range(5)}
    monkeypatch.setattr(pages, "PAGE_BYTES", 1_500)
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while {each.id async for each in client.list_schedules(process_ref=process)} != made:
            await asyncio.sleep(0.05)
    assert len([each async for each in client.list_schedules(process_ref=process)]) == 5
    page = await processes.stub.ListSchedules(pb.ListSchedulesRequest(process_ref=process))
    assert 0 < len(page.schedules) < 5
    assert page.next_page_token


async def test_what_others_schedule_in_the_namespace_is_not_listed(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/ours", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/ours", author_ref=AUTHOR)).schedule
    bare, ours = uuid.uuid4(), temporal_schedule_id(uuid.uuid4())
    theirs = [str(bare), ours, temporal_schedule_id(bare).upper(), f"schedule/{bare.hex}", "nightly"]
    spec, memo = ScheduleSpec(cron_expressions=[NEVER["cron"]]), {"schedule": "theirs"}
    for id_ in theirs:
        action = ScheduleActionStartWorkflow("Theirs", id="theirs", task_queue="theirs")
        await processes.temporal.create_schedule(id_, TheirSchedule(action=action, spec=spec), memo=memo)
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while {each.id async for each in await processes.temporal.list_schedules()} != {
            *theirs,
            temporal_schedule_id(made.id),
        }:
            await asyncio.sleep(0.05)
    assert [each.id async for each in client.list_schedules()] == [made.id]


async def test_a_schedule_at_the_terminal(processes: Processes) -> None:
    process = await processes.process("processes/shown", DO, schedule=NEVER)
    made = await command(
        processes, "schedule", "make", "aug:/processes/shown", "--input", '{"n": 1}', "-o", "json"
    )
    id_ = made.json["schedule"]["id"]
    said = await command(processes, "schedule", "get", id_)
    assert "ACTIVE" in said.out
    assert process in said.out
    assert "0 0 29 2 *" in said.out
    await command(processes, "schedule", "pause", id_, "--reason", "holidays")
    assert "holidays" in (await command(processes, "schedule", "get", id_)).out
    assert (
        json.loads((await command(processes, "schedule", "get", id_, "-o", "json")).out)["state"] == "PAUSED"
    )
    await command(processes, "schedule", "resume", id_)
    assert id_ in (await command(processes, "schedule", "list")).out
    await command(processes, "schedule", "end", id_)
    assert "ENDED" in (await command(processes, "schedule", "get", id_)).out
    refused = await command(processes, "schedule", "resume", id_, expect=1)
    assert "SCHEDULE_ENDED" in refused.err
    assert "is not the id of a schedule" in (await command(processes, "schedule", "get", "x", expect=2)).err


WRONG: dict[str, Any] = dict.fromkeys(
    ("process", "process_ref", "author_ref", "branch", "result_id", "target_refs", "budget_refs", "frozen"), 1
)


async def test_what_was_refined_by_hand_in_the_place_of_a_record_is_none(processes: Processes) -> None:
    for folder, ask in (("executions", "GetExecution"), ("schedules", "GetSchedule")):
        for solution in ([1], {"asked": 1}, {"process_ref": 1}, WRONG):
            id_ = uuid.uuid4()
            forged = Draft(type=VibeType.RECORD, id=f"{folder}/{id_}", solution=solution)
            await processes.services.refine(forged, request_id=id_)
            request = getattr(pb, f"{ask}Request")(id=str(id_))
            assert (await reason(getattr(processes.stub, ask)(request)))[0].endswith("_NOT_FOUND")


async def test_a_page_token_that_is_none_is_refused(processes: Processes) -> None:
    for token in (page_token("", 0, ["zz"]), page_token(ExecutionFilter(), 0, ["zz"]), "x"):
        lists: list[Any] = [
            processes.stub.ListSchedules(pb.ListSchedulesRequest(page_token=token)),
            processes.stub.ListExecutions(pb.ListExecutionsRequest(page_token=token)),
        ]
        for call in lists:
            assert (await reason(call))[0] == "INVALID_PAGE_TOKEN"
