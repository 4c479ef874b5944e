"""The messages of the workflows: frozen, JSON, only growing. Refs travel; large documents do not.

The service (`door`) and the workflows use them; so may any other Temporal client. Those of the engine
itself are in `engine/contract.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from temporalio.common import SearchAttributeKey

from process_worker.engine.contract import TaskEvent
from refinery_core.process.standard_errors import Problem

WORKFLOW: Final = "ExecuteProcess"
"""The workflow type. Its id is WORKFLOW_ID_PREFIX + the execution's id, a UUID."""

WORKFLOW_ID_PREFIX: Final = "execution/"
FIRE: Final = "FireSchedule"
"""The workflow type that a schedule starts; it starts an execution, and ends."""

SCHEDULE_ID_PREFIX: Final = "schedule/"
TASK_QUEUE: Final = "refinery"

MAX_INLINE_BYTES: Final = 256 << 10
"""Larger payloads stay out of Temporal's history, and travel by ref."""

PROGRESS: Final = "progress"
"""The query: takes a ProgressAsked, answers a Progress."""

ANSWER_MARK: Final = "refinery-answer"
"""Metadata of the payload of a query's answer: it is no part of history, and never becomes a RECORD."""

DELIVER: Final = "deliver"
"""The update: takes a Delivery, answers whether it was new. Idempotent by the event's id."""

PROCESS_KEY: Final = SearchAttributeKey.for_keyword("RefineryProcess")
"""The search attribute that holds the process's ref."""

RECORD_MEMO: Final = "record_ref"
"""The memo that holds the ref of the RECORD of an execution."""

START_MEMO: Final = "start_time"
"""The memo that holds the time of the RECORD of an execution: later runs start later."""


@dataclass(frozen=True)
class Start:
    """
    The workflow's one argument.

    `record_ref` is the RECORD of the execution; `frozen` maps every `aug:` reference of the process
    document, as written, to the ref that it meant when the execution started. Either `input` or, if it
    is large, `input_ref` (a RECORD whose solution it is) is given.
    """

    process_ref: str
    record_ref: str
    author_ref: str
    branch: str
    result_id: str
    input: Any = None
    input_ref: str | None = None
    target_refs: list[str] = field(default_factory=list)
    budget_refs: list[str] = field(default_factory=list)
    frozen: dict[str, str] = field(default_factory=dict)
    max_history: int = 0
    """The number of events in a history after which a new run goes on; 0 leaves that to Temporal."""
    depth: int = 0
    """The number of processes above this one, each run by the one before."""
    snapshot: dict[str, Any] | None = None
    """The snapshot of the run before this one. Only the workflow itself gives it."""


@dataclass(frozen=True)
class Result:
    """The result of the workflow: the ref of the result in the ledger."""

    result_ref: str


@dataclass(frozen=True)
class ProgressAsked:
    """The query for progress, with the events after this number, as far as they fit in an answer."""

    after_number: int = 0


@dataclass(frozen=True)
class Progress:
    """
    The progress of an execution. `listening` has event filters as they are in the document.

    `tasks` and `listening` are cut after 64 and 256 KiB; `last_number` is the number of the last event.
    """

    state: str
    tasks: list[str] = field(default_factory=list)
    listening: list[Any] = field(default_factory=list)
    events: list[TaskEvent] = field(default_factory=list)
    last_number: int = 0
    result_ref: str | None = None
    problem: Problem | None = None
    room: int | None = None
    """The number of further events that it takes."""


@dataclass(frozen=True)
class Fire:
    """The argument of a FireSchedule workflow: the RECORD of the schedule."""

    record_ref: str


@dataclass(frozen=True)
class Fired:
    """The execution that was started; None where the schedule had been ended."""

    execution_id: str | None
