"""What the ledger can be asked to write, read strictly and free of protobuf."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

import orjson

from refinery_core.vibe.documents import Document
from refinery_core.vibe.model import Refinement, Vibe, VibeType
from refinery_core.vibe.refs import AugUri


@dataclass(frozen=True, slots=True)
class Draft:
    """A Vibe to be. None is absent; `branches` is never empty."""

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
class Refine:
    """The one write. `digest` stands for its content as sent: author, inputs, branch and drafts."""

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


@dataclass(frozen=True, slots=True)
class Refined:
    """What came of a refine. `replayed`: it had been committed before, and this is the first answer."""

    refinement: Refinement
    vibes: tuple[Vibe, ...]
    replayed: bool = False


def request_digest(
    branch: str,
    author: AugUri,
    inputs: tuple[tuple[AugUri, ...], ...],
    drafts: tuple[Draft, ...],
) -> bytes:
    """The digest by which a repeated request_id is recognised: over canonical documents and refs as sent."""
    content = [
        "refinery:request:v1",
        branch,
        str(author),
        [[str(uri) for uri in uris] for uris in inputs],
        [
            [
                draft.type,
                draft.id,
                draft.branches,
                draft.expected_revision,
                None if draft.prototype is None else str(draft.prototype),
                draft.repin,
                *(None if d is None else d.text for d in (draft.context, draft.schema, draft.solution)),
            ]
            for draft in drafts
        ],
    ]
    return hashlib.sha256(orjson.dumps(content)).digest()
