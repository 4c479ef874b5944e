"""The state of reading one document: scopes, shared names, references, limits."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refinery_core.process.durations import DurationFault, read_duration
from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.functions import REFUSED_VARIABLES
from refinery_core.process.jq.lint import lint
from refinery_core.process.model import Task
from refinery_core.process.parts import (
    Authentication,
    Duration,
    Expression,
    Problem,
    Reference,
    ReferenceUse,
    RetryPolicy,
    Schema,
    Template,
)
from refinery_core.process.place import Place
from refinery_core.texts import cut
from refinery_core.vibe.refs import SCHEME, AugUri, RefFault, parse_reference

MAX_TASKS = 1_000
MAX_TASK_DEPTH = 32
MAX_DATA_DEPTH = 64
MAX_EXPRESSIONS = 262_144
"""The characters of all expressions of a document: reading so many takes a second."""


class Stage(enum.Enum):
    """The moment at which an expression is evaluated; the value lists its variables."""

    WORKFLOW = "workflow runtime"
    WORKFLOW_OUTPUT = "context workflow runtime"
    ENTRY = "context task workflow runtime"
    INSIDE = "context input task workflow runtime authorization"
    AUTHENTICATION = "context input task workflow runtime authorization secrets"
    EXPORT = "context input output task workflow runtime authorization"


RESERVED = frozenset(" ".join(stage.value for stage in Stage).split()) | REFUSED_VARIABLES.keys()
"""The variables that a document cannot define."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables of loops and catches around a place, without those that a capability lacks."""

    names: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    depth: int = 0

    def visible(self, stage: Stage) -> frozenset[str]:
        """All variables at a stage."""
        return (frozenset(stage.value.split()) - self.without) | self.names

    def adding(self, *names: str) -> Scope:
        """The scope inside a task that names variables."""
        return Scope(self.names | set(names), self.without, self.depth)

    def deeper(self) -> Scope:
        """The scope of the tasks inside a task."""
        return Scope(self.names, self.without, self.depth + 1)


@dataclass(slots=True)
class Shared:
    """The definitions of `use`, by name."""

    secrets: frozenset[str] = frozenset()
    errors: dict[str, Problem] = field(default_factory=dict)
    timeouts: dict[str, Duration] = field(default_factory=dict)
    retries: dict[str, RetryPolicy] = field(default_factory=dict)
    authentications: dict[str, Authentication] = field(default_factory=dict)
    functions: Mapping[str, Place] = field(default_factory=dict)
    """The functions that are not read yet: one may call another that is defined below it."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that was read, and the depth of its tasks."""

    task: Task
    height: int


@dataclass(slots=True)
class Reading:
    """One document being read."""

    capability: bool = False
    shared: Shared = field(default_factory=Shared)
    references: list[Reference] = field(default_factory=list)
    schemas: list[Schema] = field(default_factory=list)
    tasks: int = 0
    expressions: int = 0
    deepest: int = 0
    functions: dict[str, Function] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    """The functions that are being read, each called by the one before it."""

    def count_task(self, place: Place, depth: int) -> None:
        """Refuse one task too many, or too deep."""
        self.tasks += 1
        self.deepest = max(self.deepest, depth)
        if self.tasks > MAX_TASKS:
            place.refuse(f"a document has at most {MAX_TASKS} tasks")
        if depth > MAX_TASK_DEPTH:
            place.refuse(f"tasks are nested more than {MAX_TASK_DEPTH} deep")

    # --- Expressions ----------------------------------------------------------------------

    def expression(self, place: Place, what: str, scope: Scope, stage: Stage) -> Expression:
        """Read an expression, with or without `${ }`."""
        text = place.text(what)
        bare = wrapped(text)
        return self._linted(place, text.strip() if bare is None else bare, scope, stage)

    def whole(self, place: Place, what: str, scope: Scope, stage: Stage) -> Template:
        """Read an expression as a template."""
        return Template(self.expression(place, what, scope, stage), constant=False)

    def text(self, place: Place, what: str, scope: Scope, stage: Stage) -> str | Expression:
        """Read a string, or an expression in `${ }`."""
        text = place.text(what)
        bare = wrapped(text)
        if bare is not None:
            return self._linted(place, bare, scope, stage)
        _refuse_partial(place, text)
        return text

    def template(self, place: Place, scope: Scope, stage: Stage) -> Template:
        """Read data in which each string may be an expression in `${ }`."""
        value, constant = self._data(place, scope, stage, 0)
        return Template(value, constant)

    def _data(self, place: Place, scope: Scope, stage: Stage, depth: int) -> tuple[Any, bool]:
        value = place.value
        if isinstance(value, str) and value:
            text = self.text(place, "data", scope, stage)
            return text, isinstance(text, str)
        if not isinstance(value, dict | list):
            return value, True
        if depth >= MAX_DATA_DEPTH:
            place.refuse(f"data is nested more than {MAX_DATA_DEPTH} deep")
        if isinstance(value, list):
            items = [self._data(place.at(i), scope, stage, depth + 1) for i in range(len(value))]
            return [item for item, _ in items], all(constant for _, constant in items)
        members = {key: self._data(place.at(key), scope, stage, depth + 1) for key in value}
        return {key: m for key, (m, _) in members.items()}, all(constant for _, constant in members.values())

    def _linted(self, place: Place, source: str, scope: Scope, stage: Stage) -> Expression:
        self.expressions += len(source)
        if self.expressions > MAX_EXPRESSIONS:
            place.refuse(f"the expressions of a document have at most {MAX_EXPRESSIONS} characters together")
        try:
            reads = lint(source, scope.visible(stage))
        except ExpressionFault as fault:
            _refuse_partial(place, source)
            place.refuse(str(fault))
        for secret in sorted(reads.secrets - self.shared.secrets):
            place.refuse(f"there is no secret '{cut(secret)}' in use.secrets")
        return Expression(source, reads.variables)

    # --- Durations and references ---------------------------------------------------------

    def duration(self, place: Place, what: str, scope: Scope, stage: Stage) -> Duration:
        """Read a duration, or an expression that gives one."""
        if isinstance(place.value, str) and wrapped(place.value) is not None:
            return Duration(self.expression(place, what, scope, stage))
        return Duration(fixed_duration(place, what))

    def reference(self, place: Place, what: str, use: ReferenceUse, *, fragment: bool = False) -> AugUri:
        """Read an `aug:` reference, and add it to those of the document."""
        text = place.constant(what)
        if not text.startswith(SCHEME):
            place.refuse(f"{what} is named by an 'aug:' reference, not '{cut(text)}'")
        try:
            uri = parse_reference(text, with_fragment=fragment)
        except RefFault as fault:
            place.refuse(f"'{cut(text)}' is not a reference: {fault.problem}")
        self.references.append(Reference(place.path, uri, use))
        return uri


def fixed_duration(place: Place, what: str) -> int:
    """Read a duration that is the same at every execution."""
    if not isinstance(place.value, str | dict):
        place.refuse_type(what, "an ISO 8601 duration or an object")
    try:
        return read_duration(place.value)
    except DurationFault as fault:
        place.refuse(f"{what} is no duration: {fault.problem}")


def wrapped(text: str) -> str | None:
    """The expression between `${` and `}`; None where they do not enclose the text."""
    stripped = text.strip()
    if stripped.startswith("${") and stripped.endswith("}"):
        return stripped[2:-1].strip()
    return None


def _refuse_partial(place: Place, text: str) -> None:
    if "${" in text:
        place.refuse(
            "'${ … }' needs to be the whole string; inside a text, write it as ${ \"text \\( … ) text\" }"
        )
