"""What goes in and out of the one workflow: frozen, JSON, additive. Refs travel; large documents do not.

The service (`door`) and the workflow both speak these; so may any other Temporal client. What the
engine itself takes in and gives out stands in `engine/contract.py`.
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
"""What is larger stays out of Temporal's history and travels by ref."""

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
"""The memo that holds when the RECORD of an execution was refined: a run that goes on starts later."""


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
    """Events of one run, after which a new one goes on; 0 leaves that to Temporal."""
    depth: int = 0
    """How many processes run this one, each run by the one before it."""
    snapshot: dict[str, Any] | None = None
    """Where the run before this one stood. Only the workflow itself gives it."""


@dataclass(frozen=True)
class Result:
    """What the workflow returns: the ref of the result in the ledger."""

    result_ref: str


@dataclass(frozen=True)
class ProgressAsked:
    """Events after this number are wanted: those that fit in an answer; the others are asked for next."""

    after_number: int = 0


@dataclass(frozen=True)
class Progress:
    """
    How far an execution is. `listening` holds event filters as they stand in the document.

    Of `tasks` and `listening` there are the first that fit, in 64 and 256 KiB; `last_number` says how many
    events there are.
    """

    state: str
    tasks: list[str] = field(default_factory=list)
    listening: list[Any] = field(default_factory=list)
    events: list[TaskEvent] = field(default_factory=list)
    last_number: int = 0
    result_ref: str | None = None
    problem: Problem | None = None
    room: int | None = None
    """How many more events it takes."""


@dataclass(frozen=True)
class Fire:
    """The argument of a FireSchedule workflow: the RECORD of the schedule."""

    record_ref: str


@dataclass(frozen=True)
class Fired:
    """The execution that was started; None where the schedule had been ended."""

    execution_id: str | None
