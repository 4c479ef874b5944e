"""The interpreter as the kinds of tasks see it, and the setting of an execution."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from process_worker.engine.calls import Call, RunProcess
from process_worker.engine.ports import Ports
from process_worker.engine.scope import Calculator, Scope
from process_worker.engine.site import Site
from process_worker.engine.state import State
from refinery_core.process.model import Process, Task
from refinery_core.process.parts import Shape


@dataclass(frozen=True)
class Setting:
    """The input of an execution and its surroundings. `frozen` has the exact ref of each `aug:` reference."""

    workflow: str
    input: Any = None
    frozen: Mapping[str, str] = field(default_factory=dict)
    bundles: Mapping[str, str] = field(default_factory=dict)
    branch: str = "main"


class Run(Protocol):
    """One execution, as `interpreter.Interpreter` carries it out."""

    process: Process
    setting: Setting
    ports: Ports
    state: State
    calculator: Calculator
    stopping: bool

    async def sequence(self, tasks: Sequence[Task], data: Any, site: Site) -> Any:
        """Carry tasks out, and return the last output."""

    async def task(self, task: Task, raw: Any, site: Site) -> tuple[Any, str]:
        """Carry one task out; return its output and its `then`."""

    async def within(self, end: int | None, work: Coroutine[Any, Any, Any], site: Site) -> Any:
        """Do work, with a timeout."""

    async def export(self, shape: Shape, output: Any, scope: Scope, at: str) -> None:
        """Set the context to what the task exports."""

    async def shape(self, what: str, shape: Shape, value: Any, scope: Scope, at: str) -> Any:
        """Check and transform a value: an input is checked before, an output after."""

    def key(self, site: Site) -> str:
        """The idempotency key of the step at a place."""

    async def perform(self, call: Call | RunProcess, site: Site) -> Any:
        """Make a call, and return its output."""

    def frozen(self, uri: object, at: str) -> str:
        """The exact ref that a reference was frozen to."""
