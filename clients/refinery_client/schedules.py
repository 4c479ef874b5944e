"""Schedules: processes that are executed at given times."""

from __future__ import annotations

import enum
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import grpc

from refinery.process.v1 import process_service_pb2 as pb
from refinery.process.v1.process_service_pb2_grpc import ProcessServiceStub
from refinery_client.drafts import ABSENT, document_message
from refinery_client.pages import items_of
from refinery_client.retry import Patience
from refinery_core import wire


class ScheduleState(enum.StrEnum):
    """The state of a schedule."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class Firing:
    """One time of a schedule: it started an execution, or was refused, and then `problem` says why."""

    time: datetime
    execution_id: UUID | None
    problem: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    A process that is executed at given times.

    `process` is an `aug:` reference, floating or exact; `process_ref` is the version that sets the times:
    `cron`, in UTC, or `every`. Next times and firings, the oldest first, are ten at the most.
    `pause_reason` is empty if none was given.
    """

    id: UUID
    state: ScheduleState
    process: str
    process_ref: str
    cron: str | None
    every: timedelta | None
    start_time: datetime
    end_time: datetime | None
    next_times: tuple[datetime, ...]
    firings: tuple[Firing, ...]
    record_ref: str
    pause_reason: str


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule, and whether its request_id had been scheduled before."""

    schedule: Schedule
    replayed: bool


class Schedules:
    """
    The calls of the ProcessService about schedules, one method each.

    Every method may raise a RefineryError, as in Processes.
    """

    def __init__(self, channel: grpc.aio.Channel, patience: Patience) -> None:
        """Call over a channel; the caller closes it."""
        self._schedules = ProcessServiceStub(channel)
        self._patience = patience

    async def schedule_process(
        self,
        process: str,
        *,
        author_ref: str,
        input: Any = ABSENT,  # noqa: A002 -- the contract's word
        target_refs: Sequence[str] = (),
        budget_refs: Sequence[str] = (),
        branch: str = "",
        result_id: str = "",
        request_id: UUID | None = None,
        timeout_seconds: float | None = None,
    ) -> Scheduled:
        """
        Have a process executed at the times of its `schedule`, until the schedule is ended.

        Pass a request_id of your own if you may repeat the request from another process: it names the
        schedule.
        """
        request = pb.ScheduleProcessRequest(
            request_id=str(request_id or uuid.uuid4()),
            process=process,
            author_ref=author_ref,
            input=document_message(input, "input"),
            target_refs=target_refs,
            budget_refs=budget_refs,
            branch=branch,
            result_id=result_id,
        )
        answer = await self._patience.call(self._schedules.ScheduleProcess, request, timeout_seconds)
        return Scheduled(_schedule_from(answer.schedule), answer.replayed)

    async def get_schedule(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        timeout_seconds: float | None = None,
    ) -> Schedule:
        """Return the state of a schedule, its last firings and its next times."""
        request = pb.GetScheduleRequest(id=str(id))
        answer = await self._patience.call(self._schedules.GetSchedule, request, timeout_seconds)
        return _schedule_from(answer.schedule)

    def list_schedules(
        self, *, process_ref: str = "", page_size: int = 0, timeout_seconds: float | None = None
    ) -> AsyncIterator[Schedule]:
        """List the schedules that have not been ended, without their firings."""
        return items_of(
            self._patience,
            self._schedules.ListSchedules,
            pb.ListSchedulesRequest(process_ref=process_ref, page_size=page_size),
            lambda page: map(_schedule_from, page.schedules),
            timeout_seconds=timeout_seconds,
        )

    async def pause_schedule(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Have a schedule skip its times until it is resumed."""
        request = pb.PauseScheduleRequest(id=str(id), reason=reason)
        await self._patience.call(self._schedules.PauseSchedule, request, timeout_seconds)

    async def resume_schedule(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        timeout_seconds: float | None = None,
    ) -> None:
        """Have a paused schedule go on with its next time."""
        request = pb.ResumeScheduleRequest(id=str(id))
        await self._patience.call(self._schedules.ResumeSchedule, request, timeout_seconds)

    async def end_schedule(
        self,
        id: UUID,  # noqa: A002 -- the contract's word
        *,
        author_ref: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """End a schedule for good. Executions under way go on."""
        request = pb.EndScheduleRequest(id=str(id), author_ref=author_ref)
        await self._patience.call(self._schedules.EndSchedule, request, timeout_seconds)


# --- From the contract --------------------------------------------------------------------


def _schedule_from(message: pb.Schedule) -> Schedule:
    times = message.WhichOneof("times")
    return Schedule(
        id=UUID(message.id),
        state=ScheduleState[pb.ScheduleState.Name(message.state).removeprefix("SCHEDULE_STATE_")],
        process=message.process,
        process_ref=message.process_ref,
        cron=message.cron if times == "cron" else None,
        every=message.every.ToTimedelta() if times == "every" else None,
        start_time=wire.time_from(message.start_time, "start_time"),
        end_time=wire.time_from(message.end_time, "end_time") if message.HasField("end_time") else None,
        next_times=tuple(wire.time_from(time, "next_times") for time in message.next_times),
        firings=tuple(map(_firing_from, message.firings)),
        record_ref=message.record_ref,
        pause_reason=message.pause_reason,
    )


def _firing_from(message: pb.Firing) -> Firing:
    id_ = UUID(message.execution_id) if message.execution_id else None
    return Firing(wire.time_from(message.time, "time"), id_, message.problem)
