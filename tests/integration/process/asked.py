"""The requests of a workflow and its end, read from its commands and from its history."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.converter import DataConverter

from process_worker.workflow import steps
from process_worker.workflow.messages import WORKFLOW, Start

Asked = dict[str, str]
"""The requests by their kind and number in the run: a name, and JSON. The end of the run is one, too."""

_MESSAGES: Final[dict[str, Any]] = {
    steps.PERFORM: steps.Perform,
    steps.BEGIN: steps.Begin,
    steps.COMMIT: steps.Commit,
    steps.EXECUTE: steps.Execute,
    WORKFLOW: Start,
}
"""The messages of activities. They grow: a missing member has its default."""

_LOCAL: Final = "core_local_activity"
_PATCH: Final = "core_patch"


@dataclass(frozen=True)
class Reader:
    """Reads commands and events alike. Of local activities a history keeps the names, not the arguments."""

    converter: DataConverter

    async def now(self, commands: Iterable[WorkflowCommand], known: Collection[str]) -> Asked:
        """The requests in commands, without those that were cancelled before Temporal knew them."""
        asked: Asked = {}
        cancelled: set[str] = set()
        for command in commands:
            cancelled |= _cancelled(command)
            asked |= await self._command(command)
        return {name: what for name, what in asked.items() if name in known or name not in cancelled}

    async def then(self, events: Iterable[HistoryEvent]) -> Asked:
        """The requests in a history."""
        asked: Asked = {}
        for event in events:
            asked |= await self._event(event)
        return asked

    async def _command(self, command: WorkflowCommand) -> Asked:
        match command.WhichOneof("variant"):
            case "start_timer":
                timer = command.start_timer
                return {f"timer {timer.seq}": _length(timer.start_to_fire_timeout)}
            case "schedule_activity":
                activity = command.schedule_activity
                given = await self._given(activity.activity_type, activity.arguments)
                return {f"activity {activity.activity_id}": given}
            case "schedule_local_activity":
                local = command.schedule_local_activity
                return {f"local activity {local.seq}": local.activity_type}
            case "start_child_workflow_execution":
                child = command.start_child_workflow_execution
                return {f"child {child.workflow_id}": await self._given(child.workflow_type, child.input)}
            case "set_patch_marker":
                return {f"patch {command.set_patch_marker.patch_id}": ""}
            case "update_response":
                return await self._answered(command)
            case _:
                return await self._ended(command)

    async def _answered(self, command: WorkflowCommand) -> Asked:
        answer = command.update_response
        name = f"update {answer.protocol_instance_id}"
        if answer.HasField("completed"):
            return {name: await self._json([answer.completed])}
        return {name: await self._failure(answer.rejected)} if answer.HasField("rejected") else {}

    async def _ended(self, command: WorkflowCommand) -> Asked:
        match command.WhichOneof("variant"):
            case "complete_workflow_execution":
                return {"end": await self._json([command.complete_workflow_execution.result])}
            case "fail_workflow_execution":
                return {"end": await self._failure(command.fail_workflow_execution.failure)}
            case "cancel_workflow_execution":
                return {"end": "cancelled"}
            case "continue_as_new_workflow_execution":
                again = command.continue_as_new_workflow_execution
                return {"end": await self._given(again.workflow_type or WORKFLOW, again.arguments)}
            case _:
                return {}

    async def _event(self, event: HistoryEvent) -> Asked:
        match event.WhichOneof("attributes"):
            case "timer_started_event_attributes":
                timer = event.timer_started_event_attributes
                return {f"timer {timer.timer_id}": _length(timer.start_to_fire_timeout)}
            case "activity_task_scheduled_event_attributes":
                activity = event.activity_task_scheduled_event_attributes
                given = await self._given(activity.activity_type.name, activity.input.payloads)
                return {f"activity {activity.activity_id}": given}
            case "start_child_workflow_execution_initiated_event_attributes":
                child = event.start_child_workflow_execution_initiated_event_attributes
                given = await self._given(child.workflow_type.name, child.input.payloads)
                return {f"child {child.workflow_id}": given}
            case "marker_recorded_event_attributes":
                return await self._marked(event)
            case "workflow_execution_update_completed_event_attributes":
                update = event.workflow_execution_update_completed_event_attributes
                outcome = update.outcome
                failed = outcome.HasField("failure")
                what = self._failure(outcome.failure) if failed else self._json(outcome.success.payloads)
                return {f"update {update.meta.update_id}": await what}
            case _:
                return await self._was_ended(event)

    async def _marked(self, event: HistoryEvent) -> Asked:
        marker = event.marker_recorded_event_attributes
        if marker.marker_name == _LOCAL:
            (data,) = await self.converter.decode(marker.details["data"].payloads)
            return {f"local activity {data['seq']}": data["activity_type"]}
        assert marker.marker_name == _PATCH
        (data,) = await self.converter.decode(marker.details["patch-data"].payloads)
        return {f"patch {data['id']}": ""}

    async def _was_ended(self, event: HistoryEvent) -> Asked:
        match event.WhichOneof("attributes"):
            case "workflow_execution_completed_event_attributes":
                result = event.workflow_execution_completed_event_attributes.result
                return {"end": await self._json(result.payloads)}
            case "workflow_execution_failed_event_attributes":
                failed = event.workflow_execution_failed_event_attributes
                return {"end": await self._failure(failed.failure)}
            case "workflow_execution_canceled_event_attributes":
                return {"end": "cancelled"}
            case "workflow_execution_continued_as_new_event_attributes":
                again = event.workflow_execution_continued_as_new_event_attributes
                return {"end": await self._given(again.workflow_type.name, again.input.payloads)}
            case _:
                return {}

    # --- Payloads -------------------------------------------------------------------------

    async def _given(self, name: str, payloads: Sequence[Payload]) -> str:
        decoded = await self.converter.decode(payloads)
        if name in _MESSAGES:
            decoded = [{**_defaults(_MESSAGES[name]), **message} for message in decoded]
        return f"{name} {_dump(decoded)}"

    async def _json(self, payloads: Sequence[Payload]) -> str:
        return _dump(await self.converter.decode(payloads))

    async def _failure(self, failure: Failure) -> str:
        info = failure.application_failure_info
        details = await self._json(info.details.payloads)
        return f"failed: {failure.message} ({info.type}, final: {info.non_retryable}) {details}"


def _cancelled(command: WorkflowCommand) -> set[str]:
    match command.WhichOneof("variant"):
        case "cancel_timer":
            return {f"timer {command.cancel_timer.seq}"}
        case "request_cancel_activity":
            return {f"activity {command.request_cancel_activity.seq}"}
        case "request_cancel_local_activity":
            return {f"local activity {command.request_cancel_local_activity.seq}"}
        case _:
            return set()


def _defaults(message: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field in dataclasses.fields(message):
        if field.default is not dataclasses.MISSING:
            made[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            made[field.name] = field.default_factory()
    return made


def _length(duration: Duration) -> str:
    return f"{duration.ToMilliseconds()} ms"


def _dump(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
