"""The RECORD of a schedule: the request, its times, and at last that it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.records.record import Record, asked, result_id
from refinery_client import ABSENT, Absent, Schedule, ScheduleState
from refinery_core.errors import ProcessNotExecutable
from refinery_core.vibe import documents
from refinery_core.vibe.model import Refinement
from refinery_core.vibe.refs import SCHEDULES


@dataclass(frozen=True, kw_only=True)
class ScheduleRecord(Record):
    """
    The content of the RECORD of a schedule. References stand as they were sent: each firing freezes them.

    It has either `cron` or `every_milliseconds`.
    """

    FOLDER: ClassVar[str] = SCHEDULES
    process: str
    cron: str | Absent = ABSENT
    every_milliseconds: int | Absent = ABSENT

    @classmethod
    def of(cls, command: ExecuteProcess, frozen: Frozen) -> Self:
        """
        The content for a request.

        Raises:
            ProcessNotExecutable: the process has no schedule.
            InvalidField: no result can have the id that the results of firings would have.
        """
        times = frozen.process.schedule
        if times is None:
            raise ProcessNotExecutable(
                ref=frozen.process_ref, problem="it has no schedule; execute it instead"
            )
        result_id(command, frozen)  # Refuses the id that each firing's result would have.
        record = cls(
            asked=asked(command),
            process=command.process,
            process_ref=frozen.process_ref,
            author_ref=command.author_ref,
            branch=command.branch,
            result_id=command.result_id,
            target_refs=list(command.target_refs),
            budget_refs=list(command.budget_refs),
            cron=ABSENT if times.cron is None else times.cron,
            every_milliseconds=ABSENT if times.every is None else times.every,
            asked_by=command.asked_by or ABSENT,
        )
        return record.with_input(command.input, cls.id_of(command.request_id))

    def schedule(self, id_: UUID, record_ref: str, refinement: Refinement) -> Schedule:
        """The schedule, as it was made."""
        every = self.every_milliseconds
        return Schedule(
            id=id_,
            state=ScheduleState.ACTIVE,
            process=self.process,
            process_ref=self.process_ref,
            record_ref=record_ref,
            start_time=refinement.time,
            cron=None if self.cron is ABSENT else self.cron,
            every=None if every is ABSENT else timedelta(milliseconds=every),
            end_time=None,
            next_times=(),
            firings=(),
            pause_reason="",
        )

    def firing(self, record_ref: str, execution_id: UUID, input_: Any) -> ExecuteProcess:
        """The request of a firing; the RECORD of the schedule becomes a target of what comes of it."""
        return ExecuteProcess(
            request_id=execution_id,
            process=self.process,
            author_ref=self.author_ref,
            input=documents.from_value(input_),
            target_refs=(*self.target_refs, record_ref),
            budget_refs=tuple(self.budget_refs),
            branch=self.branch,
            result_id=self.result_id,
            behalf_ref=record_ref,
        )
