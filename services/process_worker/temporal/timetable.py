"""Schedules in Temporal, which keeps their times, and fires."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import temporalio.client as temporal
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from process_worker.temporal.client import RPC, answering, done, known
from process_worker.workflow.keys import firing_key, schedule_of, temporal_schedule_id
from process_worker.workflow.messages import FIRE, PROCESS_KEY, TASK_QUEUE, Fire, Fired
from refinery_client import Firing, Schedule, ScheduleState
from refinery_core.errors import InvalidPageToken

_MEMO: Final = "schedule"
_UNSAID: Final = "nobody said why"
"""The note of a pause without a reason; without a note, Temporal's client writes one of its own."""
_LATE: Final = timedelta(days=1)
_LEAST_LATE: Final = timedelta(seconds=10)
"""Temporal's own bound."""
_SHOWN: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timetable:
    """Schedules in Temporal. Every call may raise TemporalUnavailable."""

    client: temporal.Client

    async def start(self, schedule: Schedule) -> None:
        """Start a schedule, unless it is there."""
        fire = temporal.ScheduleActionStartWorkflow(
            FIRE,
            Fire(schedule.record_ref),
            id=temporal_schedule_id(schedule.id),
            task_queue=TASK_QUEUE,
            static_summary=schedule.process,
        )
        overlap = (
            temporal.ScheduleOverlapPolicy.ALLOW_ALL
        )  # A firing only starts an execution, which then runs by itself.
        policy = temporal.SchedulePolicy(overlap=overlap, catchup_window=_made_up_for(schedule))
        try:
            with answering():
                await self.client.create_schedule(
                    temporal_schedule_id(schedule.id),
                    temporal.Schedule(action=fire, spec=_times(schedule), policy=policy),
                    memo={_MEMO: _memo(schedule)},
                    search_attributes=TypedSearchAttributes(
                        [SearchAttributePair(PROCESS_KEY, schedule.process_ref)]
                    ),
                    rpc_timeout=RPC,
                )
        except temporal.ScheduleAlreadyRunningError:
            return

    async def find(self, schedule_id: UUID) -> Schedule | None:
        """A schedule with its firings; None where Temporal does not know it."""
        found = await known(self._handle(schedule_id).describe(rpc_timeout=RPC))
        if found is None:
            return None
        with answering():
            memo = await found.memo()
        schedule = _schedule(
            schedule_id,
            memo,
            state=found.schedule.state,
            next_times=found.info.next_action_times,
        )
        firings = await asyncio.gather(*map(self._firing, found.info.recent_actions[-_SHOWN:]))
        return replace(schedule, firings=tuple(firings))

    async def page(
        self, process_ref: str, size: int, token: bytes | None
    ) -> tuple[list[Schedule], bytes | None]:
        """A page of schedules without their firings, and the token of the next one."""
        query = f"{PROCESS_KEY.name} = '{process_ref}'" if process_ref else None
        with answering():
            pages = await self.client.list_schedules(
                query, page_size=size, next_page_token=token, rpc_timeout=RPC
            )
            try:
                await pages.fetch_next_page()
            except RPCError as error:
                if token is not None and error.status is RPCStatusCode.INVALID_ARGUMENT:
                    raise InvalidPageToken from error
                raise
        found = [await _listed(each) for each in pages.current_page or ()]
        return [schedule for schedule in found if schedule is not None], pages.next_page_token

    async def pause(self, schedule_id: UUID, reason: str) -> bool:
        """Pause a schedule; False where there is none. Without a reason, the last one stays."""
        found = None if reason else await self.find(schedule_id)
        note = reason or (found and found.pause_reason) or _UNSAID
        return await done(self._handle(schedule_id).pause(note=note, rpc_timeout=RPC))

    async def resume(self, schedule_id: UUID) -> bool:
        """Resume a schedule; False where there is none."""
        return await done(self._handle(schedule_id).unpause(rpc_timeout=RPC))

    async def end(self, schedule_id: UUID) -> bool:
        """Delete a schedule; False where there is none."""
        return await done(self._handle(schedule_id).delete(rpc_timeout=RPC))

    def _handle(self, schedule_id: UUID) -> temporal.ScheduleHandle:
        return self.client.get_schedule_handle(temporal_schedule_id(schedule_id))

    async def _firing(self, fired: temporal.ScheduleActionResult) -> Firing:
        """A firing; without an execution where it was refused, or came after the end of the schedule."""
        workflow = _workflow_id(fired)
        firing = Firing(fired.scheduled_at, firing_key(workflow), problem="")
        handle = self.client.get_workflow_handle(workflow, result_type=Fired)
        found = await known(handle.describe(rpc_timeout=RPC))
        if found is None or found.status is temporal.WorkflowExecutionStatus.RUNNING:
            return firing
        try:
            result = await known(handle.result(rpc_timeout=RPC))
        except temporal.WorkflowFailureError as failure:
            cause: Any = getattr(failure.cause, "cause", None) or failure.cause
            return replace(firing, execution_id=None, problem=getattr(cause, "message", str(cause)))
        return replace(firing, execution_id=None) if result and not result.execution_id else firing


def _times(schedule: Schedule) -> temporal.ScheduleSpec:
    if schedule.cron is not None:
        return temporal.ScheduleSpec(cron_expressions=[schedule.cron])
    assert schedule.every is not None
    # Temporal counts intervals from the Unix epoch; callers count them from their request.
    offset = timedelta(seconds=int((schedule.start_time - _EPOCH) % schedule.every / timedelta(seconds=1)))
    interval = temporal.ScheduleIntervalSpec(every=schedule.every, offset=offset)
    return temporal.ScheduleSpec(intervals=[interval])


def _made_up_for(schedule: Schedule) -> timedelta:
    """The time for which a missed firing is still made up for: of short intervals, only the last one."""
    return _LATE if schedule.every is None else max(min(schedule.every, _LATE), _LEAST_LATE)


def _memo(schedule: Schedule) -> dict[str, Any]:
    return {
        "process": schedule.process,
        "process_ref": schedule.process_ref,
        "record_ref": schedule.record_ref,
        "start_time": schedule.start_time.isoformat(),
        "cron": schedule.cron,
        "every_seconds": None if schedule.every is None else schedule.every.total_seconds(),
    }


def _schedule(
    id_: UUID,
    memo: Any,
    *,
    state: temporal.ScheduleState | temporal.ScheduleListState,
    next_times: Sequence[datetime],
) -> Schedule:
    kept, note = memo[_MEMO], state.note or ""
    every = kept["every_seconds"]
    return Schedule(
        id=id_,
        process=kept["process"],
        process_ref=kept["process_ref"],
        record_ref=kept["record_ref"],
        start_time=datetime.fromisoformat(kept["start_time"]),
        cron=kept["cron"],
        every=None if every is None else timedelta(seconds=every),
        state=ScheduleState.PAUSED if state.paused else ScheduleState.ACTIVE,
        pause_reason=note if state.paused and note != _UNSAID else "",
        end_time=None,
        next_times=() if state.paused else tuple(next_times[:_SHOWN]),
        firings=(),
    )


async def _listed(found: temporal.ScheduleListDescription) -> Schedule | None:
    """A listed schedule; None where it belongs to another client of Temporal."""
    id_ = schedule_of(found.id)
    if id_ is None or found.schedule is None or found.info is None:
        return None
    action = found.schedule.action
    if not isinstance(action, temporal.ScheduleListActionStartWorkflow) or action.workflow != FIRE:
        return None
    with answering():
        memo = await found.memo()
    return _schedule(
        id_,
        memo,
        state=found.schedule.state,
        next_times=found.info.next_action_times,
    )


def _workflow_id(fired: temporal.ScheduleActionResult) -> str:
    assert isinstance(fired.action, temporal.ScheduleActionExecutionStartWorkflow)
    return fired.action.workflow_id
