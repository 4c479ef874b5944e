"""Places in an execution: for people, for faults, and for idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from process_worker.engine.scope import Scope
from process_worker.engine.state import Strand
from refinery_core.process.model import Task


@dataclass(frozen=True, slots=True)
class Site:
    """One place. The three pointers differ in what they count."""

    strand: Strand
    scope: Scope = field(default_factory=Scope)
    document: str = ""
    """The pointer of the task in the document."""
    shown: str = ""
    """The pointer with the indices of loops."""
    key: str = ""
    """The pointer with indices, visits and attempts of the tasks around it: no two visits share it."""
    visit: int = 1
    compensating: bool = False
    """Whether this is done because the execution was cancelled."""

    def task(self, task: Task, visit: int) -> Site:
        """The place of a task inside this one."""
        inside = task.pointer.startswith(f"{self.document}/")
        step = task.pointer[len(self.document) :] if inside else task.pointer
        key = f"{self.key}@{self.visit}" if self.visit > 1 else self.key
        return replace(self, document=task.pointer, shown=self.shown + step, key=key + step, visit=visit)

    def item(self, index: int) -> Site:
        """The place of one iteration of a loop."""
        return replace(self, shown=f"{self.shown}/{index}", key=f"{self._visited}/{index}", visit=1)

    def attempt(self, number: int) -> Site:
        """The place of one attempt; the first is 1."""
        return self if number == 1 else replace(self, key=f"{self._visited}!{number}", visit=1)

    def on(self, strand: Strand) -> Site:
        """The same place, on another strand."""
        return replace(self, strand=strand)

    def to_compensate(self) -> Site:
        """The same place, for tasks that compensate."""
        return replace(self, compensating=True)

    def reading(self, scope: Scope) -> Site:
        """The same place, with other variables."""
        return replace(self, scope=scope)

    @property
    def timed(self) -> str:
        """The pointer to blame for a timeout: the task's, or the process's own."""
        return self.document or "/timeout"

    @property
    def _visited(self) -> str:
        return f"{self.key}@{self.visit}" if self.visit > 1 else self.key
