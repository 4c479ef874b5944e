"""Progress of an execution on a screen: a line for each task, as it begins, is retried and ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from refinery_cli.show.output import Form, console, print_json, printable, say
from refinery_cli.show.plain import moment, plain
from refinery_client.executions import ExecutionEvent, ExecutionEventType
from refinery_core.process.standard_errors import Problem

MAX_LINES: Final = 24
_WORDS: Final = {
    ExecutionEventType.TASK_STARTED: ("started", "cyan"),
    ExecutionEventType.TASK_ENDED: ("done", "green"),
    ExecutionEventType.TASK_FAULTED: ("faulted", "red"),
    ExecutionEventType.TASK_RETRIED: ("tried again", "yellow"),
    ExecutionEventType.TASK_SKIPPED: ("skipped", "dim"),
    ExecutionEventType.EXECUTION_ENDED: ("ended", "bold"),
}


class Screen(Protocol):
    """A display of events."""

    def show(self, event: ExecutionEvent) -> None:
        """Show one event."""


@contextmanager
def screen(form: Form) -> Iterator[Screen]:
    """A live table on a terminal, lines in a pipe, documents for a program; nothing for -o json."""
    if form == "text" and sys.stdout.isatty():
        board = Board()
        with Live(board, console=console(), refresh_per_second=12):
            yield board
    elif form == "text":
        yield Lines()
    else:
        yield Documents(form)


class Lines:
    """One line an event."""

    def show(self, event: ExecutionEvent) -> None:
        """Print when, what and where."""
        word, _ = _WORDS[event.type]
        say(f"{moment(event.time)}  {word:<11}  {event.task or '-'}{_why(event.problem)}")
        sys.stdout.flush()


@dataclass(frozen=True)
class Documents:
    """One document an event, for -o jsonl."""

    form: Form

    def show(self, event: ExecutionEvent) -> None:
        """Print it."""
        if self.form == "jsonl":
            print_json(plain(event), self.form)
            sys.stdout.flush()


@dataclass
class _Row:
    begun: datetime
    event: ExecutionEvent
    attempts: int = 1
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))


class Board:
    """The tasks in the order in which they began; the oldest finished ones give way to the newest."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def show(self, event: ExecutionEvent) -> None:
        """Change the line of the task."""
        if event.type is ExecutionEventType.EXECUTION_ENDED:
            return
        row = self._rows.get(event.task)
        if row is None or (event.type is ExecutionEventType.TASK_STARTED and not _runs(row)):
            self._rows.pop(event.task, None)
            self._rows[event.task] = _Row(event.time, event)
            return
        row.event = event
        row.attempts += event.type is ExecutionEventType.TASK_RETRIED

    def __rich_console__(self, _: Console, __: ConsoleOptions) -> RenderResult:
        """Draw as many lines as fit."""
        shown = sorted(list(self._rows)[-MAX_LINES:], key=list(self._rows).index)
        running = [task for task, row in self._rows.items() if _runs(row) and task not in shown]
        table = Table.grid(padding=(0, 1))
        for task in (*running[-MAX_LINES:], *shown):
            table.add_row(*_cells(task, self._rows[task]))
        yield table


def _runs(row: _Row) -> bool:
    return row.event.type in (ExecutionEventType.TASK_STARTED, ExecutionEventType.TASK_RETRIED)


def _cells(task: str, row: _Row) -> tuple[Spinner | Text, Text, Text, Text]:
    word, style = _WORDS[row.event.type]
    until = datetime.now(UTC) if _runs(row) else row.event.time
    seconds = max((until - row.begun).total_seconds(), 0.0)
    told = f"{word}, attempt {row.attempts}" if row.attempts > 1 else word
    mark = {"done": "✓", "faulted": "✗", "skipped": "·"}.get(word, "")
    return (
        row.spinner if _runs(row) else Text(mark, style=style),
        Text(printable(task)),
        Text(f"{told}{printable(_why(row.event.problem))}", style=style),
        Text(f"{seconds:.1f} s", style="dim"),
    )


def _why(problem: Problem | None) -> str:
    return "" if problem is None else f"  {problem.status} {problem.title or problem.type}"
