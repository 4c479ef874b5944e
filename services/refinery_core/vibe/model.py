"""The nouns of the ledger, as frozen data. Documents inside are JSON text."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


class VibeType(enum.StrEnum):
    """The kind of thing that a Vibe is a version of; fixed for an id by its first revision."""

    RECORD = "RECORD"
    ROLE = "ROLE"
    PROCESS = "PROCESS"
    CAPABILITY = "CAPABILITY"


class EdgeType(enum.StrEnum):
    """The reason why one Vibe refers to another."""

    SCHEMA = "schema"
    AUTHOR = "author"
    TARGET = "target"
    INSTRUCTION = "instruction"
    BUDGET = "budget"
    PROTOTYPE = "prototype"


@dataclass(frozen=True, slots=True)
class Context:
    """The branch and the moment that decide what a floating reference means; None means now."""

    branch: str = "main"
    as_of: int | datetime | None = None


@dataclass(frozen=True, slots=True)
class Vibe:
    """
    One immutable version of a thing. The three documents are None in the BASIC view.

    `truncated`, in an answer, says that schema_refs was cut to what a message holds.
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
    context: str | None = None
    schema: str | None = None
    solution: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Refinement:
    """
    The record of one refine: its inputs, pinned, and its place in the ledger.

    `held_as` is the name by which its principal held the Role that allowed it: its own, or one of its groups.
    None where nobody was authenticated. `behalf_ref` is the RECORD of the execution that it was made for.
    `truncated`, in an answer, says that its lists were cut to what a message holds.
    """

    id: UUID
    position: int
    request_id: UUID
    principal: str
    time: datetime
    author_ref: str
    target_refs: tuple[str, ...]
    instruction_refs: tuple[str, ...]
    budget_refs: tuple[str, ...]
    vibe_refs: tuple[str, ...]
    chain: bytes
    request_digest: bytes
    held_as: str | None = None
    behalf_ref: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of versions. `main` has no parent, no fork position and no Vibe."""

    name: str
    parent: str | None
    fork_position: int | None
    ref: str | None


@dataclass(frozen=True, slots=True)
class Edge:
    """One reference from a younger Vibe to an older one."""

    from_ref: str
    to_ref: str
    type: EdgeType


@dataclass(frozen=True, slots=True)
class Pin:
    """A reference, as written, and the ref that it stands for."""

    reference: str
    ref: str
