"""A process with its input and its outcome; and functions to write processes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WORLD = "http://world.test"
"""The address of the calls. A server there gives the answers of the scenario, the last one for ever."""

STANDARD = "https://serverlessworkflow.io/spec/1.0.0/errors/"


@dataclass(frozen=True)
class Scenario:
    """`do` and `top` make the document; it comes to `output`, or ends with `fault`, a part of a problem."""

    name: str
    do: list[dict[str, Any]]
    top: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    output: Any = None
    fault: dict[str, Any] | None = None
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    calls: list[str] | None = None
    """The paths that were called, in order; None where that is left to chance."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """The events that are sent before it starts to listen."""

    @property
    def document(self) -> dict[str, Any]:
        """The whole document."""
        described = {"dsl": "1.0.3", "namespace": "test", "name": "scenario", "version": "0.1.0"}
        return {"document": described, "do": self.do, **self.top}

    def __str__(self) -> str:
        return self.name


def get(path: str, **more: Any) -> dict[str, Any]:
    """A call."""
    return {"call": "http", "with": {"method": "get", "endpoint": f"{WORLD}{path}"}, **more}


def fails(status: int, kind: str = "communication", **more: Any) -> dict[str, Any]:
    """A task that raises a standard error."""
    return {"raise": {"error": {"type": STANDARD + kind, "status": status, **more}}}


def says(**data: Any) -> dict[str, Any]:
    """A task that sets data."""
    return {"set": data}


def event(id_: str, type_: str = "org.example.done", **more: Any) -> dict[str, Any]:
    """An event as it is delivered."""
    author, ref = "main@roles/someone?1", f"main@executions/e/events/{id_}?1"
    return {"id": id_, "type": type_, "source": "urn:test", "subject": "", "author_ref": author} | {
        "event_ref": ref,
        "data": None,
        **more,
    }


def listen(to: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """A process that listens."""
    return [{"l": {"listen": {"to": to}, **more}}]


def typed(type_: str = "org.example.done", **more: Any) -> dict[str, Any]:
    """An event filter."""
    return {"with": {"type": type_, **more}}
