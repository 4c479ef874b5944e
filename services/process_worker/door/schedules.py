"""Schedules: made once, kept by Temporal, ended for good. The ledger says which there are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from process_worker.door.commands import ExecuteProcess, Schedule, Scheduled, SchedulePage, ScheduleState
from process_worker.door.executions import Executions
from process_worker.door.freeze import freeze
from process_worker.door.pages import fitting
from process_worker.door.recording import commit_record
from process_worker.records import execution as records
from process_worker.records import schedule as schedule_records
from process_worker.records.ledger import Ledger
from process_worker.temporal.timetable import Timetable
from process_worker.workflow.keys import end_key
from refinery_client import Vibe
from refinery_core.errors import (
    RequestIdReused,
    ScheduleEnded,
    ScheduleNotFound,
    TemporalUnavailable,
)
from refinery_core.pages import unwrap_token, wrap_token
from refinery_core.vibe.model import Refinement
from refinery_core.vibe.refs import Ref


@dataclass(frozen=True, slots=True)
class Recorded:
    """A schedule as the ledger knows it; `end` is there once it was ended."""

    schedule: Schedule
    record: Vibe
    refinement: Refinement
    end: Refinement | None


@dataclass(frozen=True)
class Schedules:
    """The ledger says what was asked and that it is over; Temporal keeps the times."""

    executions: Executions
    timetable: Timetable

    @property
    def ledger(self) -> Ledger:
        """The ledger that executions are recorded in."""
        return self.executions.ledger

    async def make(self, command: ExecuteProcess) -> Scheduled:
        """
        Make a schedule, once for each request_id, and return when that is durable.

        Raises:
            ProcessNotExecutable: it is no process, or has no schedule.
            RequestIdReused: something else was committed under this request_id.
        """
        if await self.ledger.committed(command.request_id) is not None:
            return await self._replay(command)
        frozen = await freeze(self.ledger, command)
        content = schedule_records.solution(command, frozen)
        refined = await commit_record(
            self.ledger, command, frozen, content, schedule_records.record_id(command.request_id)
        )
        scheduled = await self._replay(command)
        return Scheduled(scheduled.schedule, replayed=refined is None or refined.replayed)

    async def _replay(self, command: ExecuteProcess) -> Scheduled:
        recorded = await self._recorded(command.request_id)
        if recorded is None or recorded.record.solution["asked"] != records.asked(command):
            raise RequestIdReused(request_id=command.request_id)
        return Scheduled(await self._stands(recorded), replayed=True)

    async def get(self, schedule_id: UUID) -> Schedule:
        """
        How a schedule stands.

        Raises:
            ScheduleNotFound: the ledger does not know it.
        """
        return await self._stands(await self._known(schedule_id))

    async def list(self, process_ref: str, size: int, token: str) -> SchedulePage:
        """A page of the schedules that have not been ended."""
        after = unwrap_token(token, process_ref)
        page, following = await fitting(lambda size: self.timetable.page(process_ref, size, after), size)
        return SchedulePage(tuple(page), wrap_token(process_ref, following))

    async def pause(self, schedule_id: UUID, reason: str) -> None:
        """Have a schedule skip its times."""
        await self._running(schedule_id)
        if not await self.timetable.pause(schedule_id, reason):
            raise ScheduleEnded(id=schedule_id)  # Meanwhile.

    async def resume(self, schedule_id: UUID) -> None:
        """Have a schedule go on."""
        await self._running(schedule_id)
        if not await self.timetable.resume(schedule_id):
            raise ScheduleEnded(id=schedule_id)  # Meanwhile.

    async def end(self, schedule_id: UUID, author_ref: str = "") -> None:
        """End a schedule: first in the ledger. Nothing happens where that was done before."""
        recorded = await self._known(schedule_id)
        if recorded.end is None:
            author = author_ref or recorded.refinement.author_ref
            with suppress(RequestIdReused):  # Somebody else has ended it meanwhile.
                await schedule_records.end(self.ledger, schedule_id, recorded.record, author)
        await self.timetable.end(schedule_id)

    async def fire(self, record_ref: str, execution_id: UUID) -> UUID | None:
        """Start the execution of one firing, once; None where the schedule was ended."""
        schedule_id = UUID(Ref.parse(record_ref).id.removeprefix(schedule_records.FOLDER))
        if await self.ledger.committed(end_key(schedule_id)) is not None:
            # Who ended it died before Temporal heard of it.
            await self.timetable.end(schedule_id)
            return None
        command = await schedule_records.firing(self.ledger, record_ref, execution_id)
        return (await self.executions.execute(command)).execution.id

    async def _running(self, schedule_id: UUID) -> None:
        """See that a schedule is there, also in Temporal."""
        if (await self.get(schedule_id)).state is ScheduleState.ENDED:
            raise ScheduleEnded(id=schedule_id)

    async def _stands(self, recorded: Recorded) -> Schedule:
        made = recorded.schedule
        if recorded.end is not None:
            with suppress(TemporalUnavailable):  # Who ended it may have died before Temporal heard of it.
                await self.timetable.end(made.id)
            return schedule_records.ended(made, recorded.end)
        found = await self.timetable.find(made.id)
        if found is None:
            # Made in the ledger, and then somebody died.
            await self.timetable.start(made)
            if await self.ledger.committed(end_key(made.id)) is not None:  # Meanwhile.
                return await self.get(made.id)
            found = await self.timetable.find(made.id)
        return found or made

    async def _known(self, schedule_id: UUID) -> Recorded:
        recorded = await self._recorded(schedule_id)
        if recorded is None:
            raise ScheduleNotFound(id=schedule_id)
        return recorded

    async def _recorded(self, schedule_id: UUID) -> Recorded | None:
        """What was committed under a schedule's id; None where nothing was, or something else."""
        refinement = await self.ledger.committed(schedule_id)
        if refinement is None:
            return None
        record = await self.ledger.vibe(refinement.vibe_refs[0])
        if record.id != schedule_records.record_id(schedule_id):
            return None
        try:
            made = schedule_records.schedule(schedule_id, record, refinement)
        except (AttributeError, KeyError, TypeError):
            return None  # Refined by hand.
        return Recorded(made, record, refinement, await self.ledger.committed(end_key(schedule_id)))
