"""An execution whose history is to be stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any, Final

from temporalio.client import WorkflowHandle

from process_worker.workflow.messages import Result
from refinery_client import Draft
from tests.cases.scenario import STANDARD, Scenario, says
from tests.integration.process.executor import Executor

Steering = Callable[[Executor, WorkflowHandle[Any, Result]], Awaitable[None]]

WAITS: Final = {"wait": "P1D"}
BLINKS: Final = {"wait": {"milliseconds": 100}}
LATE: Final = {
    "catch": {"errors": {"with": {"type": STANDARD + "timeout"}}, "do": [{"late": says(late=True)}]}
}


@dataclass(frozen=True)
class Case:
    """An execution to record: a scenario, and the steering of the execution."""

    scenario: Scenario
    shows: str = "WORKFLOW_EXECUTION_COMPLETED"
    """A type of event, or a name, without which the history does not show what it is stored for."""
    vibes: dict[str, Draft] = field(default_factory=dict)
    """The Vibes behind its `aug:` references."""
    steering: Steering | None = None
    """The steering of the running execution."""
    max_history: int = 0
    by_ref: bool = False
    """Whether its input is a RECORD of its own."""
    delay: float = 0.0
    """Seconds that the web takes to answer."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.scenario.name


def case(name: str, do: list[dict[str, Any]], **given: Any) -> Case:
    """A case of a process; other fields are those of its scenario."""
    own = {each.name: given.pop(each.name) for each in fields(Case) if each.name in given}
    if "fault" in given:
        own.setdefault("shows", "WORKFLOW_EXECUTION_FAILED")
    return Case(Scenario(name, do, **given), **own)
