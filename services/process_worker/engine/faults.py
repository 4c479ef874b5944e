"""What ends a task before its time: a fault, the end of the process, or a pause for a fresh start."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from refinery_core.process.standard_errors import STATUSES, Problem, error_uri

CANCELLED = "urn:refinery:cancelled"
"""The type of the error that a process sees when it is asked to stop, and may catch to compensate."""

_LONGEST = 1_000
"""Characters of each text of a problem, and of what names a task to those who ask."""


class Fault(Exception):  # noqa: N818 -- the language calls its errors faults
    """An error as the process sees it; it can be caught."""

    def __init__(self, problem: Problem) -> None:
        problem = _short(problem)
        super().__init__(f"{problem.type} ({problem.status}): {problem.detail or problem.title}")
        self.problem = problem

    def at(self, instance: str) -> Fault:
        """The same fault, with the task that it comes from, unless it says so itself."""
        return self if self.problem.instance else Fault(replace(self.problem, instance=instance))


class Ended(Exception):  # noqa: N818 -- not an error
    """The process said `then: end`; this is what it comes to."""

    def __init__(self, output: Any) -> None:
        super().__init__("end")
        self.output = output


class Interrupted(Exception):  # noqa: N818 -- not an error
    """The execution stands still between two tasks, to be taken up again from this snapshot."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        super().__init__("interrupted")
        self.snapshot = snapshot


def standard(name: str, detail: str, instance: str = "", *, title: str = "", status: int = 0) -> Fault:
    """Make one of the standard errors of the language."""
    return Fault(Problem(error_uri(name), status or STATUSES[name], title, detail, instance))


def cancelled(instance: str) -> Fault:
    """Make the error that stands for being asked to stop."""
    return Fault(Problem(CANCELLED, 499, "Cancelled", "The execution was asked to stop.", instance))


def _short(problem: Problem) -> Problem:
    """A problem travels in messages that have no room for a book."""
    type_, title, detail = cut(problem.type), cut(problem.title), cut(problem.detail)
    return Problem(type_, problem.status, title, detail, cut(problem.instance))


def cut(text: str) -> str:
    """As much of a text as there is room for in messages."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def as_data(problem: Problem) -> dict[str, Any]:
    """Write a problem as an expression sees it: without what is empty."""
    return {key: value for key, value in asdict(problem).items() if value != ""}
