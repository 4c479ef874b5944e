"""The requests that write to the ledger, read strictly and free of protobuf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from refinery_core.vibe import digests
from refinery_core.vibe.documents import Document
from refinery_core.vibe.model import Refinement, Vibe, VibeType
from refinery_core.vibe.refs import AugUri


@dataclass(frozen=True, slots=True)
class Draft:
    """A Vibe to be. None means absent; `branches` is never empty."""

    type: VibeType
    id: str
    branches: tuple[str, ...]
    expected_revision: int | None
    prototype: AugUri | None
    repin: bool
    context: Document | None
    schema: Document | None
    solution: Document | None


@dataclass(frozen=True, slots=True)
class Authority:
    """
    The right by which an authenticated caller writes.

    `names` are its principal and its groups; `behalf` is the RECORD of the execution that it carries out, and
    `reads_as` the id of the Role in whose name it reads, if not in its own.
    """

    names: tuple[str, ...]
    behalf: str | None = None
    reads_as: str = ""


@dataclass(frozen=True, slots=True)
class Refine:
    """The one write. `digest` stands for its content as sent. Without `authority` no right is asked for."""

    request_id: UUID
    digest: bytes
    principal: str
    branch: str
    author: AugUri
    targets: tuple[AugUri, ...]
    instructions: tuple[AugUri, ...]
    budgets: tuple[AugUri, ...]
    drafts: tuple[Draft, ...]
    validate_only: bool = False
    authority: Authority | None = None


@dataclass(frozen=True, slots=True)
class Refined:
    """The result of a refine. `replayed`: it had been committed before, and this is the first answer."""

    refinement: Refinement
    vibes: tuple[Vibe, ...]
    replayed: bool = False


def request_digest(
    branch: str,
    author: AugUri,
    inputs: tuple[tuple[AugUri, ...], ...],
    drafts: tuple[Draft, ...],
) -> bytes:
    """The digest by which a repeated request_id is recognised: over what was sent, canonical."""
    targets, instructions, budgets = (_texts(map(str, uris)) for uris in inputs)
    return digests.request_digest(
        canonical_object(
            author_ref=canonical_name(str(author)),
            branch=None if branch == "main" else canonical_name(branch),
            budget_refs=budgets,
            drafts=f"[{','.join(_canonical_draft(draft, branch) for draft in drafts)}]",
            instruction_refs=instructions,
            target_refs=targets,
        )
    )


def _canonical_draft(draft: Draft, branch: str) -> str:
    return canonical_object(
        branches=None if draft.branches == (branch,) else _texts(draft.branches),
        context=None if draft.context is None else draft.context.text,
        expected_revision=None if draft.expected_revision is None else str(draft.expected_revision),
        id=canonical_name(draft.id),
        prototype_ref=None if draft.prototype is None else canonical_name(str(draft.prototype)),
        repin="true" if draft.repin else None,
        schema=None if draft.schema is None else draft.schema.text,
        solution=None if draft.solution is None else draft.solution.text,
        type=canonical_name(draft.type),
    )


def canonical_object(**members: str | None) -> str:
    """The RFC 8785 text of an object; its members are canonical, and given in the order of their names."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items() if text is not None) + "}"


def _texts(items: Iterable[str]) -> str | None:
    """The canonical text of a list of names; none where it is empty."""
    return f"[{','.join(map(canonical_name, items))}]" if (items := tuple(items)) else None


def canonical_name(name: str) -> str:
    """The canonical text of a name, which has no character that JSON escapes."""
    return f'"{name}"'
