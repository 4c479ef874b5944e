"""The answers about executions: their states, events and results."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from refinery.process.v1 import process_service_pb2 as pb
from refinery_client.drafts import ABSENT
from refinery_core import wire
from refinery_core.process.standard_errors import Problem


class ExecutionState(enum.StrEnum):
    """The state of an execution."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAULTED = "FAULTED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"


class ExecutionEventType(enum.StrEnum):
    """The kind of an event in a task."""

    TASK_STARTED = "TASK_STARTED"
    TASK_ENDED = "TASK_ENDED"
    TASK_FAULTED = "TASK_FAULTED"
    TASK_RETRIED = "TASK_RETRIED"
    TASK_SKIPPED = "TASK_SKIPPED"
    EXECUTION_ENDED = "EXECUTION_ENDED"


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a process. `listening` are the event filters of the tasks under way."""

    id: UUID
    process_ref: str
    state: ExecutionState
    start_time: datetime
    end_time: datetime | None
    tasks: tuple[str, ...]
    listening: tuple[Any, ...]
    result_ref: str | None
    problem: Problem | None
    record_ref: str


@dataclass(frozen=True, slots=True)
class ExecutionStarted:
    """An execution, and whether its request_id had been started before."""

    execution: Execution
    replayed: bool


@dataclass(frozen=True, slots=True)
class ExecutionEvent:
    """One event; `task` is a JSON pointer with the indices of loops."""

    number: int
    type: ExecutionEventType
    task: str
    time: datetime
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class ExecutionStory:
    """An execution, and its last 1,000 events."""

    execution: Execution
    events: tuple[ExecutionEvent, ...]


@dataclass(frozen=True, slots=True)
class ExecutionNews:
    """One message of a watch: an event; the first and the last message carry the execution."""

    event: ExecutionEvent | None
    execution: Execution | None


@dataclass(frozen=True, slots=True)
class EventSent:
    """The RECORD of an event, and whether its request_id had been committed before."""

    event_ref: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class CapabilityCalled:
    """The outcome of a call. Without a problem there is an output; with one it is ABSENT."""

    capability_ref: str
    output: Any
    problem: Problem | None


# --- From the contract --------------------------------------------------------------------


def execution_from(message: pb.Execution) -> Execution:
    """Read an execution."""
    return Execution(
        id=UUID(message.id),
        process_ref=message.process_ref,
        state=ExecutionState[pb.ExecutionState.Name(message.state).removeprefix("EXECUTION_STATE_")],
        start_time=wire.time_from(message.start_time, "start_time"),
        end_time=wire.time_from(message.end_time, "end_time") if message.HasField("end_time") else None,
        tasks=tuple(message.tasks),
        listening=tuple(orjson.loads(filter_.json) for filter_ in message.listening),
        result_ref=message.result_ref if message.HasField("result_ref") else None,
        problem=_problem_from(message.problem) if message.HasField("problem") else None,
        record_ref=message.record_ref,
    )


def event_from(message: pb.ExecutionEvent) -> ExecutionEvent:
    """Read an event."""
    name = pb.ExecutionEventType.Name(message.type).removeprefix("EXECUTION_EVENT_TYPE_")
    return ExecutionEvent(
        number=message.number,
        type=ExecutionEventType[name],
        task=message.task,
        time=wire.time_from(message.time, "time"),
        problem=_problem_from(message.problem) if message.HasField("problem") else None,
    )


def called_from(message: pb.CallCapabilityResponse) -> CapabilityCalled:
    """Read the outcome of a call."""
    return CapabilityCalled(
        capability_ref=message.capability_ref,
        output=orjson.loads(message.output.json) if message.HasField("output") else ABSENT,
        problem=_problem_from(message.problem) if message.HasField("problem") else None,
    )


def _problem_from(message: pb.Problem) -> Problem:
    return Problem(message.type, message.status, message.title, message.detail, message.instance)
