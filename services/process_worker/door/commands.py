"""The requests and answers of the service: frozen, without protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from process_worker.engine.contract import TaskEvent
from refinery_client import Execution, ExecutionState
from refinery_core.process.standard_errors import Problem
from refinery_core.vibe.documents import Document

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExecuteProcess:
    """A request to execute a process, once or by its schedule, with references as they were sent."""

    request_id: UUID
    process: str
    author_ref: str
    input: Document
    target_refs: tuple[str, ...]
    budget_refs: tuple[str, ...]
    branch: str
    result_id: str | None
    asked_by: str = ""
    """The principal that asks; empty where nobody is authenticated, and for firings."""
    behalf_ref: str = ""
    """The RECORD of the schedule that fires; empty for the requests of callers."""


@dataclass(frozen=True, slots=True)
class CallCapability:
    """A request to call a capability, with references as they were sent."""

    request_id: UUID
    capability: str
    author_ref: str
    input: Document
    branch: str


@dataclass(frozen=True, slots=True)
class Called:
    """The outcome of a call: either an output or a problem."""

    capability_ref: str
    output: Document | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """An execution, and its last events."""

    execution: Execution
    events: tuple[TaskEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """A filter of executions; empty members match all."""

    process_ref: str = ""
    state: ExecutionState | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, and the token of the next one; empty on the last one."""

    items: Sequence[T]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class News:
    """One message of a watch: an event or a heartbeat; the first and the last carry the execution."""

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
