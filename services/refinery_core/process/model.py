"""Processes and capabilities as frozen data: what the checker makes of a document, to be carried out."""

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
"""Data that is neither checked nor reshaped."""

# --- What a call calls --------------------------------------------------------------------


class Answer(enum.StrEnum):
    """What an HTTP call gives: the content, its bytes in base64, or the whole response."""

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
    """What all twelve kinds of task have. `pointer` is where it stands, such as `/do/0/greet`."""

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
    """Data, made of a template."""

    data: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way out of a switch; without a condition it is the way when no other is."""

    name: str
    when: Expression | None
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Task):
    """The way of the first case that holds."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class For(Task):
    """Tasks for each item of a collection, as long as `while_` holds."""

    collection: Expression
    item: str = "item"
    index: str = "index"
    while_: Expression | None = None
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Task):
    """Tasks at once; all their outputs in order, or, if they compete, that of the first to finish."""

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
    """An error."""

    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Task):
    """A pause."""

    duration: Duration


class Read(enum.StrEnum):
    """What of an event a listener gives: its data, the whole event, or the data as it was sent."""

    DATA = "data"
    ENVELOPE = "envelope"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class EachEvent:
    """What to do for each event that is consumed, one after the other."""

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
    """Calls something."""

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
    """When a process starts by itself: at the times of a cron expression, or every so many milliseconds."""

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
    """Every `aug:` reference, in the order of reading, to be frozen when an execution starts."""
    schemas: tuple[Schema, ...] = ()
    """Every schema of data, wherever it stands."""
    definition: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """The solution of a Capability Vibe: one call."""

    call: Call
    secrets: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()
    schemas: tuple[Schema, ...] = ()
