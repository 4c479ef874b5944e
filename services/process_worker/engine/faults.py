"""The exceptions that end a task early: a fault, the end of the process, or a snapshot for a new run."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from refinery_core import texts
from refinery_core.process.standard_errors import STATUSES, Problem, error_uri

CANCELLED = "urn:refinery:cancelled"
"""The type of the error that a cancelled process sees, and may catch to compensate."""

_LONGEST = 1_000
"""Characters of each text of a problem, and of the pointer of a task in an answer."""


class Fault(Exception):  # noqa: N818 -- the language calls its errors faults
    """An error of a process, which the process may catch."""

    def __init__(self, problem: Problem) -> None:
        problem = _short(problem)
        super().__init__(f"{problem.type} ({problem.status}): {problem.detail or problem.title}")
        self.problem = problem

    def at(self, instance: str) -> Fault:
        """The same fault with the pointer of its task, unless it has one."""
        return self if self.problem.instance else Fault(replace(self.problem, instance=instance))


class Ended(Exception):  # noqa: N818 -- not an error
    """The process said `then: end`; `output` is its output."""

    def __init__(self, output: Any) -> None:
        super().__init__("end")
        self.output = output


class Interrupted(Exception):  # noqa: N818 -- not an error
    """The execution pauses between two tasks; a new run resumes it from the snapshot."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        super().__init__("interrupted")
        self.snapshot = snapshot


def standard(name: str, detail: str, instance: str = "", *, title: str = "", status: int = 0) -> Fault:
    """One of the standard errors of the language."""
    return Fault(Problem(error_uri(name), status or STATUSES[name], title, detail, instance))


def cancelled(instance: str) -> Fault:
    """The error that a cancelled process sees."""
    return Fault(Problem(CANCELLED, 499, "Cancelled", "The execution was asked to stop.", instance))


def _short(problem: Problem) -> Problem:
    """The same problem with its texts cut: the messages that carry it have little room."""
    type_, title, detail = cut(problem.type), cut(problem.title), cut(problem.detail)
    return Problem(type_, problem.status, title, detail, cut(problem.instance))


def cut(text: str) -> str:
    """The text, cut to the length that messages have room for."""
    return texts.cut(text, _LONGEST)


def as_data(problem: Problem) -> dict[str, Any]:
    """A problem as expressions see it: without empty members."""
    return {key: value for key, value in asdict(problem).items() if value != ""}
