"""What ends a task before its time: a fault, the end of the process, or a pause for a fresh start."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from process_worker.messages import Problem
from refinery_core.process.standard_errors import STATUSES, error_uri

CANCELLED = "urn:refinery:cancelled"
"""The type of the error that a process sees when it is asked to stop, and may catch to compensate."""


class Fault(Exception):  # noqa: N818 -- the language calls its errors faults
    """An error as the process sees it; it can be caught."""

    def __init__(self, problem: Problem) -> None:
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


def as_data(problem: Problem) -> dict[str, Any]:
    """Write a problem as an expression sees it: without what is empty."""
    return {key: value for key, value in asdict(problem).items() if value != ""}
