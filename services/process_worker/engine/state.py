"""The state of an execution: its context, its events, its trace, and the tasks under way."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from process_worker.engine.contract import MAX_EVENTS, MAX_EVENTS_BYTES, Delivery, TaskEvent
from process_worker.engine.faults import Fault, cut, standard
from refinery_core.process.standard_errors import Problem

Event = dict[str, Any]
"""A CloudEvent, with `author_ref` and `event_ref` beside its attributes."""


MAX_CONSUMED: Final = 8_000
"""Events and results that become targets of the result: a refine takes 10,000 inputs."""


SNAPSHOT: Final = 1
"""The version of snapshots: raised with every change of them or of a frame in them. Older ones are read."""


class NewerSnapshot(Exception):  # noqa: N818 -- reads as what it is
    """
    A newer worker wrote this snapshot.

    This does not fail the execution: Temporal hands the task out again until a newer worker takes it.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"this worker reads snapshots of form {SNAPSHOT}, and not yet of form {version}")


class Strand:
    """
    One line of tasks: a frame for each task and list that is under way, outermost first.

    Frames are JSON and are changed in place. A resumed strand hands the kept frames out to tasks that enter
    in the same order. Only the main strand can be resumed; branches of a fork are not.
    """

    def __init__(self, kept: list[dict[str, Any]] | None = None, *, main: bool = False) -> None:
        self.main = main
        self.frames: list[dict[str, Any]] = []
        self._kept = deque(kept or ())

    @property
    def resumes(self) -> bool:
        """Whether the next frame to enter is a kept one."""
        return bool(self._kept)

    def enter(self, fresh: dict[str, Any]) -> dict[str, Any]:
        """Enter a new frame, or the next one that was kept."""
        frame = self._kept.popleft() if self._kept else fresh
        self.frames.append(frame)
        return frame

    def leave(self) -> None:
        """Leave the innermost frame."""
        self.frames.pop()


def _size(event: Event) -> int:
    """The size of an event, in bytes, as Temporal's converter writes it."""
    return len(json.dumps(event))


class Mailbox:
    """Events that no task has consumed yet, in the order of arrival; each is consumed once."""

    def __init__(self, waiting: list[Event] | None = None, known: list[str] | None = None) -> None:
        self.waiting = list(waiting or ())
        self.known = dict.fromkeys(known or ())
        self._size = sum(map(_size, self.waiting))
        """The bytes of all events in the history of this run, consumed ones included."""
        self._arrived: list[asyncio.Future[None]] = []

    def deliver(self, delivery: Delivery) -> bool:
        """Take an event in; False if one with its id was delivered before.

        Raises:
            OverflowError: there is no room for more.
        """
        if delivery.id in self.known:
            return False
        if not self.room:
            limits = f"{MAX_EVENTS} events, and {MAX_EVENTS_BYTES} bytes of them at a time"
            raise OverflowError(f"an execution takes at most {limits}")
        self.known[delivery.id] = None
        given = asdict(delivery)
        others = given.pop("attributes")
        event = {key: value for key, value in given.items() if value != "" or key == "data"}
        self.waiting.append({"specversion": "1.0", **others, **event})
        self._size += _size(self.waiting[-1])
        arrived, self._arrived = self._arrived, []
        for future in arrived:
            if not future.done():
                future.set_result(None)
        return True

    @property
    def room(self) -> int:
        """The number of events that there is room for; the last one may be larger than the bytes left."""
        return MAX_EVENTS - len(self.known) if self._size < MAX_EVENTS_BYTES else 0

    async def take(self, matches: Callable[[Event], Awaitable[bool]]) -> Event:
        """Wait for an event that matches, and consume it."""
        seen: set[str] = set()
        while True:
            for event in tuple(self.waiting):
                if event["id"] in seen:
                    continue
                seen.add(event["id"])
                if await matches(event) and event in self.waiting:
                    self.waiting.remove(event)
                    return event
            if all(event["id"] in seen for event in self.waiting):
                arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._arrived.append(arrival)
                await arrival


@dataclass
class Trace:
    """The last MAX_EVENTS things that happened, and the tasks under way."""

    last_number: int = 0
    events: deque[TaskEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    active: dict[str, int] = field(default_factory=dict)
    listening: dict[str, Any] = field(default_factory=dict)

    def note(self, kind: str, task: str, time_us: int, fault: Fault | None = None) -> None:
        """Record something that happened to a task."""
        self.last_number += 1
        problem: Problem | None = None if fault is None else fault.problem
        self.events.append(TaskEvent(self.last_number, kind, cut(task), time_us, problem))

    def begin(self, task: str) -> None:
        """Record that a task is under way."""
        self.active[task] = self.active.get(task, 0) + 1

    def end(self, task: str) -> None:
        """Record that it is no longer."""
        self.active[task] -= 1
        if not self.active[task]:
            del self.active[task]

    @property
    def innermost(self) -> list[str]:
        """The tasks under way that have no task under way inside."""
        return [
            task for task in self.active if not any(other.startswith(f"{task}/") for other in self.active)
        ]


@dataclass
class State:
    """The whole state; `restored` reads what `snapshot` wrote, through JSON."""

    context: Any = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    mailbox: Mailbox = field(default_factory=Mailbox)
    consumed: list[str] = field(default_factory=list)
    """The refs of consumed events and of awaited results, in order."""
    called: list[str] = field(default_factory=list)
    """The refs of called capabilities."""
    strand: Strand = field(default_factory=lambda: Strand(main=True))
    started_us: int = 0

    def consume(self, ref: str) -> None:
        """
        Add a target of the result.

        Raises:
            Fault: there are more than a refine takes.
        """
        if len(self.consumed) >= MAX_CONSUMED:
            detail = f"the result would be made from more than {MAX_CONSUMED} events and results"
            raise standard("runtime", detail)
        self.consumed.append(ref)

    def snapshot(self) -> dict[str, Any]:
        """Everything that a new run needs to go on, as JSON."""
        return {
            "version": SNAPSHOT,
            "context": self.context,
            "events": [asdict(event) for event in self.trace.events],
            "last_number": self.trace.last_number,
            "waiting": self.mailbox.waiting,
            "known": list(self.mailbox.known),
            "consumed": self.consumed,
            "called": self.called,
            "frames": list(self.strand.frames),
            "started_us": self.started_us,
        }

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> State:
        """
        Read a snapshot, also one of an older version.

        Raises:
            NewerSnapshot: a newer worker wrote it.
        """
        if kept["version"] > SNAPSHOT:
            raise NewerSnapshot(kept["version"])
        trace = Trace(last_number=kept["last_number"])
        for event in kept["events"]:
            problem = event["problem"] and Problem(**event["problem"])
            trace.events.append(TaskEvent(**{**event, "problem": problem}))
        return cls(
            context=kept["context"],
            trace=trace,
            mailbox=Mailbox(kept["waiting"], kept["known"]),
            consumed=kept["consumed"],
            called=kept["called"],
            strand=Strand(kept["frames"], main=True),
            started_us=kept["started_us"],
        )
