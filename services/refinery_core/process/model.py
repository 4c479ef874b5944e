"""Processes and capabilities as frozen data: the checker makes them, the engine carries them out."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from refinery_core.process.parts import (
    CONTINUE,
    Authentication,
    Catch,
    Consumption,
    Duration,
    Endpoint,
    Expression,
    Problem,
    Reference,
    Schema,
    Shape,
    Template,
)
from refinery_core.vibe.refs import AugUri

UNCHANGED = Shape()
"""Data that is neither checked nor transformed."""

# --- Calls --------------------------------------------------------------------


class Answer(enum.StrEnum):
    """The output of an HTTP call: the content, its bytes in base64, or the whole response."""

    CONTENT = "content"
    RAW = "raw"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One HTTP request; the method is in capitals."""

    method: str
    endpoint: Endpoint
    headers: Template | None = None
    query: Template | None = None
    body: Template | None = None
    answer: Answer = Answer.CONTENT
    redirect: bool = False
    """Whether a status from 300 to 399 is an answer, not an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiCall:
    """One operation of an OpenAPI document, which is fetched or is the solution of a Vibe."""

    document: Endpoint | AugUri
    operation: str
    parameters: Template | None = None
    authentication: Authentication | None = None
    answer: Answer = Answer.CONTENT
    redirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCall:
    """One unary gRPC call; without a descriptor the server is asked by reflection."""

    service: str
    method: str
    host: str
    port: int | None = None
    descriptor: AugUri | None = None
    arguments: Template | None = None
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityCall:
    """A Capability Vibe; without arguments it is given the task's input."""

    capability: AugUri
    arguments: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A function of `use.functions`: its task, which is given the arguments as its input."""

    name: str
    function: Task
    arguments: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonCall:
    """A Python function that is registered with the worker under this name; only in capabilities."""

    function: str
    arguments: Template | None = None


AnyCall = HttpCall | OpenApiCall | GrpcCall | CapabilityCall | FunctionCall | PythonCall

# --- Tasks --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The common members of tasks. `pointer` is its place in the document, such as `/do/0/greet`."""

    name: str
    pointer: str
    condition: Expression | None = None
    input: Shape = UNCHANGED
    output: Shape = UNCHANGED
    export: Shape = UNCHANGED
    timeout: Duration | None = None
    then: str = CONTINUE
    """A directive, or the name of a task of the same list."""
    definition: Any = field(default=None, repr=False, compare=False)
    """The task as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Task):
    """Tasks in sequence."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Task):
    """Sets data, by a template."""

    data: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of a switch; a case without a condition is the default."""

    name: str
    when: Expression | None
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Task):
    """Goes on as the first case says whose condition holds."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class For(Task):
    """Tasks for each item of a collection, while `while_` holds."""

    collection: Expression
    item: str = "item"
    index: str = "index"
    while_: Expression | None = None
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Task):
    """Tasks at the same time; the outputs of all in order, or of the first to finish if they compete."""

    branches: tuple[Task, ...]
    compete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Try(Task):
    """Tasks whose errors are caught."""

    tasks: tuple[Task, ...]
    catch: Catch
    catch_tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise(Task):
    """Raises an error."""

    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Task):
    """Waits for a duration."""

    duration: Duration


class Read(enum.StrEnum):
    """The part of an event that a listener gives: its data, the whole event, or the data as it was sent."""

    DATA = "data"
    ENVELOPE = "envelope"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class EachEvent:
    """The tasks for each consumed event, one event after the other."""

    item: str = "item"
    index: str = "index"
    tasks: tuple[Task, ...] = ()
    output: Shape = UNCHANGED
    export: Shape = UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen(Task):
    """Waits for events; gives an array of them."""

    to: Consumption
    read: Read = Read.DATA
    each: EachEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit(Task):
    """Sends an event; `attributes` has at least `source` and `type`."""

    attributes: dict[str, Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Task):
    """Makes a call."""

    call: AnyCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Task):
    """Runs another Process Vibe as a child."""

    process: AugUri
    arguments: Template | None = None
    await_: bool = True
    returns: bool = True
    """Whether the child's result is the output; else the input is."""


# --- Documents ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The times at which a process starts: those of a cron expression, or every so many milliseconds."""

    cron: str | None = None
    every: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The solution of a Process Vibe."""

    namespace: str
    name: str
    version: str
    title: str | None = None
    summary: str | None = None
    tasks: tuple[Task, ...]
    input: Shape = UNCHANGED
    output: Shape = UNCHANGED
    timeout: Duration | None = None
    schedule: Schedule | None = None
    secrets: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()
    """All `aug:` references, in the order of reading; they are frozen when an execution starts."""
    schemas: tuple[Schema, ...] = ()
    """All schemas of data in the document."""
    definition: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """The solution of a Capability Vibe: one call."""

    call: Call
    secrets: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()
    schemas: tuple[Schema, ...] = ()
