"""An execution as the kinds of tasks see it, and what it starts from."""

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
    """What an execution starts from. `frozen` says what each `aug:` reference, as written, stands for."""

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
        """Carry tasks out, and give the last output."""

    async def task(self, task: Task, raw: Any, site: Site) -> tuple[Any, str]:
        """Carry one task out; give its output, and where to go on."""

    async def within(self, end: int | None, work: Coroutine[Any, Any, Any], site: Site) -> Any:
        """Do it until its time is up."""

    async def export(self, shape: Shape, output: Any, scope: Scope, at: str) -> None:
        """Set the context that there is from now on."""

    async def shape_output(self, shape: Shape, value: Any, scope: Scope, at: str) -> Any:
        """Reshape and check an output."""

    def key(self, site: Site) -> str:
        """The name of what is done at a place."""

    async def perform(self, call: Call | RunProcess, site: Site) -> Any:
        """Have a call made, and give what came of it."""

    def frozen(self, uri: object, at: str) -> str:
        """The ref that a reference stands for in this execution."""
