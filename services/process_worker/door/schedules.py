"""Schedules: made once, kept by Temporal, ended for good; the ledger records both."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from process_worker.door.commands import ExecuteProcess, Page
from process_worker.door.executions import Executions
from process_worker.door.pages import fitting
from process_worker.door.recording import Recorded, end, find, record
from process_worker.records.ledger import Ledger
from process_worker.records.schedule import ScheduleRecord
from process_worker.temporal.timetable import Timetable
from process_worker.workflow.keys import end_key
from refinery_client import ABSENT, Schedule, Scheduled, ScheduleState
from refinery_core.errors import ScheduleEnded, ScheduleNotFound, TemporalUnavailable
from refinery_core.pages import unwrap_token, wrap_token
from refinery_core.vibe.model import Refinement


@dataclass(frozen=True)
class Schedules:
    """Schedules: the ledger has their start and their end; Temporal keeps the times."""

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
        recorded, replayed = await record(self.ledger, ScheduleRecord, command)
        return Scheduled(await self._stands(command.request_id, recorded), replayed)

    async def get(self, schedule_id: UUID) -> Schedule:
        """
        A schedule with its next times and its firings.

        Raises:
            ScheduleNotFound: the ledger does not know it.
        """
        return await self._stands(schedule_id, await self._known(schedule_id))

    async def list(self, process_ref: str, size: int, token: str) -> Page[Schedule]:
        """A page of the schedules that have not been ended."""
        after = unwrap_token(token, process_ref)
        page, following = await fitting(lambda size: self.timetable.page(process_ref, size, after), size)
        return Page(page, wrap_token(process_ref, following))

    async def pause(self, schedule_id: UUID, reason: str) -> None:
        """Pause a schedule: it skips its times."""
        await self._running(schedule_id)
        if not await self.timetable.pause(schedule_id, reason):
            raise ScheduleEnded(id=schedule_id)  # Meanwhile.

    async def resume(self, schedule_id: UUID) -> None:
        """Resume a schedule."""
        await self._running(schedule_id)
        if not await self.timetable.resume(schedule_id):
            raise ScheduleEnded(id=schedule_id)  # Meanwhile.

    async def end(self, schedule_id: UUID, author_ref: str = "") -> None:
        """End a schedule, first in the ledger; nothing happens where it was ended before."""
        recorded = await self._known(schedule_id)
        if await self._end(schedule_id) is None:
            await end(self.ledger, recorded, end_key(schedule_id), author_ref, ended=True)
        await self.timetable.end(schedule_id)

    async def fire(self, record_ref: str, execution_id: UUID) -> UUID | None:
        """Start the execution of one firing, once; None where the schedule was ended."""
        id_ = ScheduleRecord.uuid_in(record_ref)
        if await self._end(id_) is not None:
            # The worker that ended it died before Temporal heard of it.
            await self.timetable.end(id_)
            return None
        made = ScheduleRecord.from_solution((await self.ledger.vibe(record_ref)).solution)
        input_ = made.input
        if made.input_ref is not ABSENT:
            input_ = (await self.ledger.vibe(made.input_ref)).solution
        command = made.firing(record_ref, execution_id, input_)
        return (await self.executions.execute(command)).execution.id

    async def _running(self, schedule_id: UUID) -> None:
        """Make sure that a schedule is there, also in Temporal."""
        if (await self.get(schedule_id)).state is ScheduleState.ENDED:
            raise ScheduleEnded(id=schedule_id)

    async def _stands(self, schedule_id: UUID, recorded: Recorded[ScheduleRecord]) -> Schedule:
        made = recorded.record.schedule(schedule_id, recorded.ref, recorded.refinement)
        end = await self._end(schedule_id)
        if end is not None:
            with suppress(TemporalUnavailable):  # The worker that ended it may have died before it said so.
                await self.timetable.end(schedule_id)
            return replace(made, state=ScheduleState.ENDED, end_time=end.time)
        found = await self.timetable.find(schedule_id)
        if found is None:
            # It was just made, or a worker died after making it.
            await self.timetable.start(made)
            if await self._end(schedule_id) is not None:  # Meanwhile.
                return await self.get(schedule_id)
            found = await self.timetable.find(schedule_id)
        return found or made

    async def _known(self, schedule_id: UUID) -> Recorded[ScheduleRecord]:
        recorded = await find(self.ledger, ScheduleRecord, schedule_id)
        if recorded is None:
            raise ScheduleNotFound(id=schedule_id)
        return recorded

    async def _end(self, schedule_id: UUID) -> Refinement | None:
        """The end of a schedule in the ledger; None where it was not ended."""
        return await self.ledger.committed(end_key(schedule_id))
