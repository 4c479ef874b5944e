"""What the service is asked for and what it answers: frozen, without protobuf."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from process_worker.engine.contract import Problem, TaskEvent
from refinery_core.vibe.documents import Document


class State(enum.StrEnum):
    """How an execution stands."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAULTED = "FAULTED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, slots=True)
class ExecuteProcess:
    """What to carry out, once or by its schedule, with references as they were sent."""

    request_id: UUID
    process: str
    author_ref: str
    input: Document
    target_refs: tuple[str, ...]
    budget_refs: tuple[str, ...]
    branch: str
    result_id: str | None


@dataclass(frozen=True, slots=True)
class CallCapability:
    """What to call alone, with references as they were sent."""

    request_id: UUID
    capability: str
    author_ref: str
    input: Document
    branch: str


@dataclass(frozen=True, slots=True)
class Called:
    """What came of a call: either an output or a problem."""

    capability_ref: str
    output: Document | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One carrying out of a process, as it stands."""

    id: UUID
    process_ref: str
    state: State
    start_time: datetime
    record_ref: str
    end_time: datetime | None = None
    tasks: tuple[str, ...] = ()
    listening: tuple[Any, ...] = ()
    result_ref: str | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """An execution, and whether its request_id had been started before."""

    execution: Execution
    replayed: bool


@dataclass(frozen=True, slots=True)
class Story:
    """An execution, and what happened in it as far back as it is kept."""

    execution: Execution
    events: tuple[TaskEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions to list; empty means any."""

    process_ref: str = ""
    state: State | None = None


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """A part of a list, and the token that goes on; empty where nothing does."""

    executions: tuple[Execution, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class News:
    """What a watch sends: an event, or a heartbeat; the execution with the first and the last."""

    event: TaskEvent | None = None
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class SendEvent:
    """A CloudEvent for an execution; `data` is None where there is none."""

    request_id: UUID
    execution_id: UUID
    author_ref: str
    id: str
    type: str
    source: str
    subject: str
    data: Document | None = field(default=None)
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventSent:
    """The RECORD of an event, and whether its request_id had been committed before."""

    event_ref: str
    replayed: bool


class ScheduleState(enum.StrEnum):
    """How a schedule stands."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class Firing:
    """One time at which a schedule started an execution, or was refused one: then `problem` says why."""

    time: datetime
    execution_id: UUID | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    A process that is carried out again and again.

    `process` is an `aug:` reference, floating or exact; `process_ref` the version whose times are kept:
    `cron` or `every`. `pause_reason` is empty where nobody said why.
    """

    id: UUID
    process: str
    process_ref: str
    record_ref: str
    start_time: datetime
    cron: str | None = None
    every: timedelta | None = None
    state: ScheduleState = ScheduleState.ACTIVE
    end_time: datetime | None = None
    next_times: tuple[datetime, ...] = ()
    firings: tuple[Firing, ...] = ()
    pause_reason: str = ""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule, and whether its request_id had been scheduled before."""

    schedule: Schedule
    replayed: bool


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """A part of a list, and the token that goes on; empty where nothing does."""

    schedules: tuple[Schedule, ...]
    next_page_token: str
