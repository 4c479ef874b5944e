"""Conversion between protobuf and commands. Each field of a request is read here, strictly, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

from process_worker.door.commands import (
    CallCapability,
    Called,
    ExecuteProcess,
    ExecutionFilter,
    News,
    Page,
    SendEvent,
    Story,
)
from process_worker.door.freeze import MAX_INPUTS
from process_worker.engine.contract import TaskEvent
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import (
    EventSent,
    Execution,
    ExecutionStarted,
    ExecutionState,
    Firing,
    Schedule,
    Scheduled,
    ScheduleState,
)
from refinery_core import wire
from refinery_core.errors import InvalidField
from refinery_core.fields import (
    branch_from,
    check_line,
    own_id_from,
    position_from,
    ref_from,
    reference_from,
    references_from,
)
from refinery_core.process.standard_errors import Problem
from refinery_core.serving.principal import current_caller
from refinery_core.texts import cut
from refinery_core.vibe.documents import from_value, parse
from refinery_core.wire import DocumentForm

MAX_TEXT: Final = 1_024
MAX_NOTE_BYTES: Final = 1_000
"""Temporal's limit."""
MAX_ATTRIBUTES: Final = 20
_IS_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}").fullmatch
_OWN_ATTRIBUTES: Final = frozenset({"specversion", "id", "type", "source", "subject", "data"})
"""Attributes that an event has a field for."""
_STORY_BYTES: Final = 3 << 20
"""The size of the events in an answer; the execution has the rest of the message."""
_FRAME_BYTES: Final = 8
"""The bytes around each part of a message, at most."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATES: Final = {state: pb.ExecutionState.Value(f"EXECUTION_STATE_{state}") for state in ExecutionState}
_STATES_BACK: Final[dict[int, ExecutionState]] = {number: state for state, number in _STATES.items()}
_SCHEDULE_STATES: Final = {
    state: pb.ScheduleState.Value(f"SCHEDULE_STATE_{state}") for state in ScheduleState
}
_EMPTY_OBJECT: Final = parse("{}")


# --- Requests -----------------------------------------------------------------------------


def execute_process(request: pb.ExecuteProcessRequest | pb.ScheduleProcessRequest) -> ExecuteProcess:
    """Read a request to execute or to schedule; a refusal names the first field at fault."""
    inputs = len(request.target_refs) + len(request.budget_refs)
    if inputs > MAX_INPUTS:
        problem = f"and budget_refs take at most {MAX_INPUTS} together, not {inputs}"
        raise InvalidField(field="target_refs", problem=problem)
    caller = current_caller()
    command = ExecuteProcess(
        request_id=wire.uuid_from(request.request_id, "request_id"),
        process=str(reference_from(request.process, "process")),
        author_ref=str(reference_from(request.author_ref, "author_ref")),
        input=wire.document_from(request.input, "input") if request.HasField("input") else _EMPTY_OBJECT,
        target_refs=tuple(map(str, references_from(request.target_refs, "target_refs"))),
        budget_refs=tuple(map(str, references_from(request.budget_refs, "budget_refs"))),
        branch=branch_from(request.branch, "branch"),
        result_id=own_id_from(request.result_id, "result_id") if request.result_id else None,
        asked_by=caller.principal if caller.authenticated else "",
    )
    if command.result_id:
        check_line(command.branch, command.result_id, "result_id")
    return command


def call_capability(request: pb.CallCapabilityRequest) -> CallCapability:
    """Read a request to call a capability."""
    return CallCapability(
        request_id=wire.uuid_from(request.request_id, "request_id"),
        capability=str(reference_from(request.capability, "capability")),
        author_ref=str(reference_from(request.author_ref, "author_ref")),
        input=wire.document_from(request.input, "input") if request.HasField("input") else _EMPTY_OBJECT,
        branch=branch_from(request.branch, "branch"),
    )


def execution_filter(request: pb.ListExecutionsRequest) -> ExecutionFilter:
    """Read a filter of executions."""
    if request.state and request.state not in _STATES_BACK:
        raise InvalidField(field="state", problem=f"{request.state} is not a state")
    return ExecutionFilter(ref_from(request.process_ref, "process_ref"), _STATES_BACK.get(request.state))


def after_number(request: pb.WatchExecutionRequest) -> int:
    """Read the number of the event to watch from."""
    return position_from(request.after_number, "after_number")


def send_event(request: pb.SendEventRequest) -> SendEvent:
    """Read an event."""
    event, author = request.event, reference_from(request.author_ref, "author_ref")
    if not request.HasField("event"):
        raise InvalidField(field="event", problem="is required")
    return SendEvent(
        request_id=wire.uuid_from(request.request_id, "request_id"),
        execution_id=wire.uuid_from(request.execution_id, "execution_id"),
        author_ref=str(author),
        id=_segment(event.id, "event.id"),
        type=text(event.type, "event.type", required=True),
        source=text(event.source, "event.source") or f"refinery:{author}",
        subject=text(event.subject, "event.subject"),
        data=wire.document_from(event.data, "event.data") if event.HasField("data") else None,
        attributes=_attributes(event.attributes),
    )


def _attributes(given: Mapping[str, str]) -> dict[str, str]:
    if len(given) > MAX_ATTRIBUTES:
        raise InvalidField(field="event.attributes", problem=f"are more than {MAX_ATTRIBUTES}")
    for name in given:
        if not _IS_ATTRIBUTE(name) or name in _OWN_ATTRIBUTES:
            problem = f"has '{cut(name)}', which does not name another attribute"
            raise InvalidField(field="event.attributes", problem=problem)
    return {name: text(value, f"event.attributes.{name}") for name, value in given.items()}


def _segment(text: str, field: str) -> str:
    if "/" in own_id_from(text, field):
        raise InvalidField(field=field, problem="is more than one segment of a path")
    return text


def author_or_none(text: str) -> str:
    """Read an optional author; "" where there is none."""
    return str(reference_from(text, "author_ref")) if text else ""


def text(text: str, field: str, *, required: bool = False) -> str:
    """Read a short text."""
    if required and not text:
        raise InvalidField(field=field, problem="is required")
    if len(text) > MAX_TEXT:
        raise InvalidField(field=field, problem=f"is longer than {MAX_TEXT} characters")
    return text


def note(given: str, field: str) -> str:
    """Read a text that becomes a note in Temporal."""
    if len(given.encode()) > MAX_NOTE_BYTES:
        raise InvalidField(field=field, problem=f"is longer than {MAX_NOTE_BYTES} bytes")
    return text(given, field)


# --- Answers ------------------------------------------------------------------------------


def started_message(started: ExecutionStarted, form: DocumentForm) -> pb.ExecuteProcessResponse:
    """Write an execution that was started."""
    return pb.ExecuteProcessResponse(
        execution=execution_message(started.execution, form), replayed=started.replayed
    )


def story_message(story: Story, form: DocumentForm) -> pb.GetExecutionResponse:
    """Write an execution, and as many of its last events as a message has room for."""
    room, events = _STORY_BYTES, list[pb.ExecutionEvent]()
    for event in reversed(story.events):
        message = event_message(event)
        room -= message.ByteSize() + _FRAME_BYTES
        if room < 0:
            break
        events.append(message)
    return pb.GetExecutionResponse(
        execution=execution_message(story.execution, form), events=reversed(events)
    )


def page_message(page: Page[Execution], form: DocumentForm) -> pb.ListExecutionsResponse:
    """Write a page of executions."""
    return pb.ListExecutionsResponse(
        executions=[execution_message(execution, form) for execution in page.items],
        next_page_token=page.next_page_token,
    )


def news_message(news: News, form: DocumentForm) -> pb.WatchExecutionResponse:
    """Write a message of a watch."""
    return pb.WatchExecutionResponse(
        event=None if news.event is None else event_message(news.event),
        execution=None if news.execution is None else execution_message(news.execution, form),
    )


def sent_message(sent: EventSent) -> pb.SendEventResponse:
    """Write the answer to an event."""
    return pb.SendEventResponse(event_ref=sent.event_ref, replayed=sent.replayed)


def called_message(called: Called, form: DocumentForm) -> pb.CallCapabilityResponse:
    """Write the outcome of a call."""
    message = pb.CallCapabilityResponse(capability_ref=called.capability_ref)
    if called.output is not None:
        wire.write_document(message.output, called.output.text, form)
    if called.problem is not None:
        message.problem.CopyFrom(_problem(called.problem))
    return message


def execution_message(execution: Execution, form: DocumentForm) -> pb.Execution:
    """Write an execution."""
    message = pb.Execution(
        id=str(execution.id),
        process_ref=execution.process_ref,
        state=_STATES[execution.state],
        tasks=execution.tasks,
        result_ref=execution.result_ref,
        problem=None if execution.problem is None else _problem(execution.problem),
        record_ref=execution.record_ref,
    )
    wire.write_time(message.start_time, execution.start_time)
    if execution.end_time is not None:
        wire.write_time(message.end_time, execution.end_time)
    for filter_ in execution.listening:
        wire.write_document(message.listening.add(), from_value(filter_).text, form)
    return message


def scheduled_message(scheduled: Scheduled) -> pb.ScheduleProcessResponse:
    """Write a schedule that was made."""
    return pb.ScheduleProcessResponse(
        schedule=schedule_message(scheduled.schedule), replayed=scheduled.replayed
    )


def schedules_message(page: Page[Schedule]) -> pb.ListSchedulesResponse:
    """Write a page of schedules."""
    return pb.ListSchedulesResponse(
        schedules=map(schedule_message, page.items), next_page_token=page.next_page_token
    )


def schedule_message(schedule: Schedule) -> pb.Schedule:
    """Write a schedule."""
    message = pb.Schedule(
        id=str(schedule.id),
        state=_SCHEDULE_STATES[schedule.state],
        process=schedule.process,
        process_ref=schedule.process_ref,
        firings=map(_firing, schedule.firings),
        record_ref=schedule.record_ref,
        pause_reason=schedule.pause_reason,
    )
    if schedule.cron is not None:
        message.cron = schedule.cron
    if schedule.every is not None:
        message.every.FromTimedelta(schedule.every)
    wire.write_time(message.start_time, schedule.start_time)
    if schedule.end_time is not None:
        wire.write_time(message.end_time, schedule.end_time)
    for time in schedule.next_times:
        wire.write_time(message.next_times.add(), time)
    return message


def _firing(firing: Firing) -> pb.Firing:
    id_ = "" if firing.execution_id is None else str(firing.execution_id)
    message = pb.Firing(execution_id=id_, problem=firing.problem)
    wire.write_time(message.time, firing.time)
    return message


def event_message(event: TaskEvent) -> pb.ExecutionEvent:
    """Write an event of an execution."""
    message = pb.ExecutionEvent(
        number=event.number,
        type=pb.ExecutionEventType.Value(f"EXECUTION_EVENT_TYPE_{event.kind}"),
        task=event.task,
        problem=None if event.problem is None else _problem(event.problem),
    )
    wire.write_time(message.time, _EPOCH + timedelta(microseconds=event.time_us))
    return message


def _problem(problem: Problem) -> pb.Problem:
    return pb.Problem(**asdict(problem))
