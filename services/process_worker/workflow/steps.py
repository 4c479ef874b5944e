"""The messages of activities: frozen, one in and one out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from process_worker.engine.calls import Call, read, written
from process_worker.engine.ports import Request

LOAD: Final = "load"
EVALUATE: Final = "evaluate"
PERFORM: Final = "perform"
COMMIT: Final = "commit"
BREATHE: Final = "breathe"
BEGIN: Final = "begin"
EXECUTE: Final = "execute"


@dataclass(frozen=True)
class Load:
    """Read a process, its bundles, and its input."""

    process_ref: str
    frozen: dict[str, str] = field(default_factory=dict)
    input_ref: str | None = None


@dataclass(frozen=True)
class Loaded:
    """
    A process, with all that its execution needs.

    `bundles` has the schemas that refer to Vibes, by their pointers: each is the name of one of `composed`,
    or, from an older worker, the text of a schema. `capabilities` has the refs of the references of each
    capability. `input` is there if it was asked for. `result_schema` refers to the schema of the result.
    """

    solution: Any
    bundles: dict[str, str] = field(default_factory=dict)
    capabilities: dict[str, dict[str, str]] = field(default_factory=dict)
    input: Any = None
    result_schema: Any = None
    composed: dict[str, str] = field(default_factory=dict)

    @property
    def schemas(self) -> dict[str, str]:
        """The texts of the bundles, by their pointers."""
        return {pointer: self.composed.get(bundle, bundle) for pointer, bundle in self.bundles.items()}


@dataclass(frozen=True)
class Evaluate:
    """Evaluate jq expressions, each with the variables that it reads."""

    expressions: list[str]
    reads: list[list[str]]
    value: Any
    variables: dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """The results of expressions."""

    results: list[Any]


@dataclass(frozen=True)
class Behalf:
    """
    The execution that a step is done for. `process_ref` is the process, or the capability that is called
    alone; `record_ref` is empty where no execution was recorded.
    """

    author_ref: str
    branch: str
    process_ref: str
    record_ref: str


@dataclass(frozen=True)
class Perform:
    """
    Make a call; see `ports.Request`. `kind` and `what` are the call, as `calls.written` writes it.

    `frozen` has the refs of the references of a called capability.
    """

    kind: str
    pointer: str
    key: str
    what: dict[str, Any]
    behalf: Behalf
    frozen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, call: Call, behalf: Behalf, frozen: dict[str, str]) -> Perform:
        """Write a request."""
        return cls(call.KIND, request.pointer, request.key, written(call), behalf, frozen)

    @property
    def call(self) -> Call:
        """
        The call.

        Raises:
            Fault: this worker does not know its kind.
        """
        return read(self.kind, self.what)


@dataclass(frozen=True)
class Performed:
    """The output of a call."""

    output: Any


@dataclass(frozen=True)
class Begin:
    """Record the execution of a process that another one runs; `key` is its id, `behalf` the other one's."""

    key: str
    process_ref: str
    result_id: str
    input: Any
    behalf: Behalf
    frozen: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """The RECORD of the execution; a large input is a RECORD of its own."""

    record_ref: str
    input_ref: str | None = None
    start_time: str = ""
    """The time of its refinement, in RFC 3339."""


@dataclass(frozen=True)
class Commit:
    """Commit the result of an execution, with its inputs."""

    key: str
    result_id: str
    output: Any
    behalf: Behalf
    schema: Any = None
    """The schema of the output, pinned; None where there is none."""
    target_refs: list[str] = field(default_factory=list)
    instruction_refs: list[str] = field(default_factory=list)
    budget_refs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Committed:
    """The result in the ledger."""

    ref: str


@dataclass(frozen=True)
class Execute:
    """Start the execution of one firing of a schedule; `key` is its id."""

    record_ref: str
    key: str
