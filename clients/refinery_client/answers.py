"""The answers that a client gets: the nouns of the model, with documents as Python values."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from refinery.ledger.v1 import ledger_service_pb2 as ledger_pb
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client.drafts import ABSENT
from refinery_core import wire
from refinery_core.errors import Violation
from refinery_core.vibe.model import Branch, Edge, Pin, Refinement, VibeType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Vibe:
    """
    One immutable version of a thing. A missing document is ABSENT; in lists all of them are.

    `truncated` says that schema_refs was cut to the size of a message.
    """

    ref: str
    id: str
    branches: tuple[str, ...]
    revision: int
    type: VibeType
    author_ref: str
    prototype_ref: str | None
    refinement_id: UUID
    position: int
    time: datetime
    content_digest: bytes
    digest: bytes
    schema_refs: tuple[str, ...]
    context: Any = ABSENT
    schema: Any = ABSENT
    solution: Any = ABSENT
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Refined:
    """
    The result of a refine. `refinement` is None if it only validated.

    `truncated` says that `vibes` was cut to the size of a message; list_vibes lists them all.
    """

    request_id: UUID
    refinement: Refinement | None
    vibes: tuple[Vibe, ...]
    replayed: bool
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class BranchCreated:
    """A new branch, and the record of its creation."""

    branch: Branch
    refinement: Refinement
    replayed: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One refinement that a watch saw, with those of its Vibes that match."""

    position: int
    refinement: Refinement
    vibes: tuple[Vibe, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions that serve a ledger: release, last migration, SHA-256 of the SQL code, PostgreSQL."""

    program: str
    migration: str
    code: bytes
    postgres: str


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The id of the ledger, its end, the versions that serve it, and its limits by name."""

    ledger_id: UUID
    origin: bytes
    position: int
    chain: bytes
    versions: Versions
    limits: dict[str, int]


class LineageDirection(enum.StrEnum):
    """The direction of a walk: to the Vibes that made this one, or to those that were made from it."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LineageStep:
    """
    One Vibe that a walk reached, and the edges that join it to those one step nearer.

    Of a hidden one, which the caller may not read, there is only the digest: its ref and its end of the
    edges are empty, and its type is None.
    """

    ref: str
    depth: int
    type: VibeType | None
    position: int
    edges: tuple[Edge, ...]
    hidden: bool = False
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class ResolvedReference:
    """The Vibe that a reference means, and the moment at which that was read."""

    vibe: Vibe
    read_position: int


class SchemaForm(enum.StrEnum):
    """The form in which a schema is composed from those that it refers to."""

    PINNED = "pinned"
    EMBEDDED = "embedded"
    BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class ResolvedSchema:
    """A composed schema, as a value and as the text that was answered. `ref` is None for one not stored."""

    schema: Any
    text: str
    pins: tuple[Pin, ...]
    dependencies: tuple[str, ...]
    ref: str | None


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether a solution satisfies its schema, with the violations if not."""

    valid: bool
    violations: tuple[Violation, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    """One Vibe at the other end of schema edges."""

    ref: str
    depth: int
    floating: bool


class ImpactVerdict(enum.StrEnum):
    """The effect of a change on one Vibe."""

    UNAFFECTED = "unaffected"
    VALID = "valid"
    INVALID = "invalid"
    UNRESOLVABLE = "unresolvable"


@dataclass(frozen=True, slots=True)
class Impact:
    """The effect of a change on one Vibe, and the reasons."""

    ref: str
    verdict: ImpactVerdict
    depth: int
    violations: tuple[Violation, ...]
    message: str


class Answers(Generic[T]):
    """A streamed answer, item by item. `truncated` is known after the last one."""

    def __init__(self, parts: AsyncIterator[tuple[list[T], bool]]) -> None:
        """Take the parts of the answer, each with a flag that says whether it was cut."""
        self._parts = parts
        self.truncated = False

    async def __aiter__(self) -> AsyncIterator[T]:
        async for items, truncated in self._parts:
            self.truncated |= truncated
            for item in items:
                yield item


# --- From the contract --------------------------------------------------------------------


def vibe_from(message: vibe_pb2.Vibe) -> Vibe:
    """Read a Vibe."""
    vibe = wire.vibe_from(message)
    return Vibe(
        ref=vibe.ref,
        id=vibe.id,
        branches=vibe.branches,
        revision=vibe.revision,
        type=vibe.type,
        author_ref=vibe.author_ref,
        prototype_ref=vibe.prototype_ref,
        refinement_id=vibe.refinement_id,
        position=vibe.position,
        time=vibe.time,
        content_digest=vibe.content_digest,
        digest=vibe.digest,
        schema_refs=vibe.schema_refs,
        context=_value(vibe.context),
        schema=_value(vibe.schema),
        solution=_value(vibe.solution),
        truncated=vibe.truncated,
    )


def _value(text: str | None) -> Any:
    return ABSENT if text is None else orjson.loads(text)


def refined_from(message: ledger_pb.RefineResponse, request_id: UUID) -> Refined:
    """Read the result of a refine."""
    committed = message.refinement.position > 0
    return Refined(
        request_id=request_id,
        refinement=wire.refinement_from(message.refinement) if committed else None,
        vibes=tuple(vibe_from(vibe) for vibe in message.vibes),
        replayed=message.replayed,
        truncated=message.truncated,
    )


def ledger_state_from(message: ledger_pb.GetLedgerResponse) -> LedgerState:
    """Read the description of the ledger."""
    versions = message.versions
    return LedgerState(
        ledger_id=UUID(message.ledger_id),
        origin=message.origin,
        position=message.position,
        chain=message.chain,
        versions=Versions(versions.program, versions.migration, versions.code, versions.postgres),
        limits={limit.name: value for limit, value in message.limits.ListFields()},
    )


def lineage_step_from(message: ledger_pb.LineageStep) -> LineageStep:
    """Read a step of a walk."""
    return LineageStep(
        ref=message.ref,
        depth=message.depth,
        type=None if message.hidden else wire.vibe_type_from(message.type),
        position=message.position,
        edges=tuple(wire.edge_from(edge) for edge in message.edges),
        hidden=message.hidden,
        digest=message.digest,
    )


def _same_step(one: ledger_pb.LineageStep, other: ledger_pb.LineageStep) -> bool:
    return (one.ref, one.digest) == (other.ref, other.digest)


async def whole_steps(
    parts: AsyncIterator[ledger_pb.TraceLineageResponse],
) -> AsyncIterator[tuple[list[LineageStep], bool]]:
    """Read the parts of a walk; a step that goes on in the next part is given whole."""
    open_: ledger_pb.LineageStep | None = None
    truncated = False
    async for part in parts:
        steps, truncated = list(part.steps), part.truncated
        if open_ is not None and steps and _same_step(steps[0], open_):
            open_.edges.extend(steps.pop(0).edges)
        if not steps:
            continue
        whole = steps[:-1] if open_ is None else [open_, *steps[:-1]]
        open_ = steps[-1]
        yield [lineage_step_from(step) for step in whole], False
    yield [] if open_ is None else [lineage_step_from(open_)], truncated


def resolved_schema_from(message: resolver_pb.ResolveSchemaResponse) -> ResolvedSchema:
    """Read a composed schema."""
    return ResolvedSchema(
        schema=orjson.loads(message.schema.json),
        text=message.schema.json,
        pins=tuple(wire.pin_from(pin) for pin in message.pins),
        dependencies=tuple(message.dependencies),
        ref=message.ref if message.HasField("ref") else None,
    )


def validation_from(message: resolver_pb.ValidateSolutionResponse) -> Validation:
    """Read whether a solution satisfies its schema."""
    violations = tuple(wire.violation_from(violation) for violation in message.violations)
    return Validation(message.valid, violations, message.truncated)


def dependency_from(message: resolver_pb.Dependency) -> Dependency:
    """Read a dependency."""
    return Dependency(message.ref, message.depth, message.floating)


def impact_from(message: resolver_pb.Impact) -> Impact:
    """Read the effect of a change on one Vibe."""
    name = resolver_pb.ImpactVerdict.Name(message.verdict).removeprefix("IMPACT_VERDICT_")
    return Impact(
        ref=message.ref,
        verdict=ImpactVerdict[name],
        depth=message.depth,
        violations=tuple(wire.violation_from(violation) for violation in message.violations),
        message=message.message,
    )
