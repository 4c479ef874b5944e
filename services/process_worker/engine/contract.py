"""The messages that go into the engine and out of it: frozen, JSON, and only growing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from refinery_core.process.standard_errors import Problem

MAX_EVENTS: Final = 1_000
"""The number of events that an execution takes, and of things that happened that it remembers."""

MAX_EVENTS_BYTES: Final = 16 << 20
"""The size of the events that an execution takes in one run: Temporal ends a history of 50 MiB."""


@dataclass(frozen=True)
class TaskEvent:
    """
    One thing that happened in an execution.

    `kind` is TASK_STARTED, TASK_ENDED, TASK_FAULTED, TASK_RETRIED, TASK_SKIPPED or EXECUTION_ENDED; `task` is
    a JSON pointer with the indices of loops; `time_us` is microseconds since the Unix epoch.
    """

    number: int
    kind: str
    task: str
    time_us: int
    problem: Problem | None = None


@dataclass(frozen=True)
class Delivery:
    """A CloudEvent that was refined as the RECORD `event_ref` by `author_ref`."""

    id: str
    type: str
    source: str
    subject: str
    author_ref: str
    event_ref: str
    data: Any = None
    attributes: dict[str, str] = field(default_factory=dict)
    """The other attributes, by name."""
