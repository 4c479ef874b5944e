"""What the workflow asks its activities: frozen, one message in and one out."""

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
    """Read a process, and what its execution needs beside it."""

    process_ref: str
    frozen: dict[str, str] = field(default_factory=dict)
    input_ref: str | None = None


@dataclass(frozen=True)
class Loaded:
    """
    A process. `bundles` are its schemas that refer to Vibes, composed, by their pointers: each is the name of
    one of `composed`, or the text of a schema itself, as it was always once; `capabilities`
    says for each capability what its own references stand for; `input` is there if it was asked for;
    `result_schema` is what the process's own schema says of its result, by reference.
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
    """Evaluate jq expressions, each with the variables that it reads, as long as they may take."""

    expressions: list[str]
    reads: list[list[str]]
    value: Any
    variables: dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """What they gave."""

    results: list[Any]


@dataclass(frozen=True)
class Behalf:
    """
    For whom something is done, and under what: `process_ref` is the process, or the capability that is
    called alone; `record_ref` is empty where no execution was recorded.
    """

    author_ref: str
    branch: str
    process_ref: str
    record_ref: str


@dataclass(frozen=True)
class Perform:
    """
    Do one thing outside; see `ports.Request`. `kind` and `what` are the call, as `calls.written` writes it.

    `frozen` is what the references of a called capability stand for.
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
    """What came of it."""

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
    """When that was refined, as RFC 3339 writes it."""


@dataclass(frozen=True)
class Commit:
    """Commit the result of an execution: its output, with all that it was made from."""

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
