from __future__ import annotations

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest

from process_worker.temporal.timetable import Timetable
from process_worker.workflow.keys import end_key
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import (
    Draft,
    Refinery,
    Schedule,
    ScheduleState,
)
from refinery_core.errors import (
    ScheduleEnded,
    TemporalUnavailable,
)
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import reason
from tests.integration.process.test_schedules import DO, NEVER, fire, until
from tests.support.waiting import PATIENCE


async def test_a_paused_schedule_says_so_and_goes_on_when_it_is_resumed(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/paused", DO, schedule={"every": "PT1S"})
    id_ = (await client.schedule_process("aug:/processes/paused", author_ref=AUTHOR)).schedule.id
    await client.pause_schedule(id_)
    assert (await client.get_schedule(id_)).pause_reason == ""
    await client.pause_schedule(id_, reason="the far side is away")
    await client.pause_schedule(id_)
    paused = await client.get_schedule(id_)
    assert paused.pause_reason == "the far side is away"
    assert paused.state is ScheduleState.PAUSED
    assert not paused.next_times
    await processes.process("processes/clock", DO, schedule={"every": "PT1S"})
    clock = (await client.schedule_process("aug:/processes/clock", author_ref=AUTHOR)).schedule.id
    await until(client, clock, lambda schedule: len(schedule.firings) > 2)  # Two of its own times pass.
    await client.end_schedule(clock)
    assert (await client.get_schedule(id_)).firings == paused.firings
    await client.resume_schedule(id_)
    assert (await client.get_schedule(id_)).pause_reason == ""
    assert (await until(client, id_, lambda schedule: len(schedule.firings) > len(paused.firings))).next_times
    await client.end_schedule(id_)


async def test_what_was_ended_stays_ended(processes: Processes, client: Refinery) -> None:
    await processes.process("processes/over", DO, schedule=NEVER)
    id_ = uuid.uuid4()
    await client.schedule_process("aug:/processes/over", author_ref=AUTHOR, request_id=id_)
    await asyncio.gather(*(client.end_schedule(id_) for _ in range(4)))
    await client.end_schedule(id_)
    again = await client.schedule_process("aug:/processes/over", author_ref=AUTHOR, request_id=id_)
    assert again.replayed
    assert again.schedule.state is ScheduleState.ENDED
    assert [each.id async for each in client.list_schedules()].count(id_) == 0
    for ask in (client.pause_schedule, client.resume_schedule):
        with pytest.raises(ScheduleEnded):
            await ask(id_)
    first, last = [await processes.services.refinery.get_vibe(f"main@schedules/{id_}?{n}") for n in (1, 2)]
    assert last.solution == {**first.solution, "ended": True}
    assert last.author_ref == AUTHOR


async def test_who_ends_a_schedule_is_the_author_of_its_end(processes: Processes, client: Refinery) -> None:
    await processes.services.refine(
        *(Draft(type=VibeType.ROLE, id=f"roles/{name}") for name in ("one", "other"))
    )
    await processes.process("processes/over", DO, schedule=NEVER)
    id_ = (await client.schedule_process("aug:/processes/over", author_ref=AUTHOR)).schedule.id
    await client.end_schedule(id_, author_ref="aug:/roles/one")
    await client.end_schedule(id_, author_ref="aug:/roles/other")
    ends = [each async for each in processes.services.refinery.list_revisions(f"schedules/{id_}")]
    assert [each.author_ref for each in ends] == ["main@roles/one?1", AUTHOR]


async def test_two_who_end_a_schedule_at_once_have_both_ended_it(
    processes: Processes, client: Refinery
) -> None:
    await processes.services.refine(*(Draft(type=VibeType.ROLE, id=f"roles/{n}") for n in range(4)))
    await processes.process("processes/over", DO, schedule=NEVER)
    id_ = (await client.schedule_process("aug:/processes/over", author_ref=AUTHOR)).schedule.id
    await asyncio.gather(*(client.end_schedule(id_, author_ref=f"aug:/roles/{n}") for n in range(4)))
    assert (await client.get_schedule(id_)).state is ScheduleState.ENDED


async def test_a_schedule_whose_end_temporal_never_heard_of_starts_nothing_more(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/undead", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/undead", author_ref=AUTHOR)).schedule
    record = await processes.services.refinery.get_vibe(made.record_ref)
    draft = Draft(
        type=VibeType.RECORD, id=record.id, expected_revision=1, solution={**record.solution, "ended": True}
    )
    # As if the worker that ended it had died between the ledger and Temporal.
    await processes.services.refinery.refine(author_ref=AUTHOR, drafts=[draft], request_id=end_key(made.id))
    await fire(processes, made.id)
    async with asyncio.timeout(PATIENCE):
        while await Timetable(processes.temporal).find(made.id) is not None:
            await asyncio.sleep(0.05)
    executions = [each async for each in processes.services.refinery.list_vibes(id_prefix="executions/")]
    assert executions == []


async def test_a_schedule_can_be_ended_whatever_was_written_under_its_id(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/noted", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/noted", author_ref=AUTHOR)).schedule
    await processes.services.record(f"schedules/{made.id}", solution={"note": "not ours"})
    await client.end_schedule(made.id)
    assert (await client.get_schedule(made.id)).state is ScheduleState.ENDED
    last = await processes.services.refinery.get_vibe(f"main@schedules/{made.id}?3")
    assert last.solution["ended"] is True


async def test_who_asks_how_a_schedule_stands_while_it_is_ended_does_not_bring_it_back(
    processes: Processes, client: Refinery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/over", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/over", author_ref=AUTHOR)).schedule
    find, timetable = Timetable.find, Timetable(processes.temporal)

    async def ends_meanwhile(self: Timetable, schedule_id: UUID) -> Schedule | None:
        monkeypatch.setattr(Timetable, "find", find)
        await client.end_schedule(schedule_id)
        return await find(self, schedule_id)

    monkeypatch.setattr(Timetable, "find", ends_meanwhile)
    assert (await client.get_schedule(made.id)).state is ScheduleState.ENDED
    assert await timetable.find(made.id) is None


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_schedule_that_is_ended_meanwhile_is_neither_paused_nor_resumed(
    processes: Processes, client: Refinery, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    await processes.process("processes/over", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/over", author_ref=AUTHOR)).schedule
    find = Timetable.find

    async def ends_then(self: Timetable, schedule_id: UUID) -> Schedule | None:
        monkeypatch.setattr(Timetable, "find", find)
        found = await find(self, schedule_id)
        await client.end_schedule(schedule_id)
        return found

    monkeypatch.setattr(Timetable, "find", ends_then)
    with pytest.raises(ScheduleEnded):
        await getattr(client, f"{verb}_schedule")(made.id)


async def test_a_schedule_that_was_ended_only_in_the_ledger_is_ended_by_whoever_asks_next(
    processes: Processes, client: Refinery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await processes.process("processes/half", DO, schedule=NEVER)
    made = (await client.schedule_process("aug:/processes/half", author_ref=AUTHOR)).schedule

    async def died(*_: Any) -> bool:
        raise TemporalUnavailable(problem="the power is off")

    with monkeypatch.context() as patch:
        patch.setattr(Timetable, "end", died)
        refused = await reason(processes.stub.EndSchedule(pb.EndScheduleRequest(id=str(made.id))))
        assert refused[0] == "TEMPORAL_UNAVAILABLE"
        assert (await client.get_schedule(made.id)).state is ScheduleState.ENDED
    assert await Timetable(processes.temporal).find(made.id) is not None
    assert (await client.get_schedule(made.id)).state is ScheduleState.ENDED
    assert await Timetable(processes.temporal).find(made.id) is None
