"""The requests of a client that write: drafts, and the refine that carries them."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core import wire
from refinery_core.errors import InvalidDocument
from refinery_core.vibe import documents
from refinery_core.vibe.model import Context, VibeType


class Absent(enum.Enum):
    """The type of ABSENT."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT
"""No document at all. None, in contrast, is the document `null`."""


SECONDS_PER_DRAFT: Final = 0.01
SECONDS_PER_MIB: Final = 5.0


class JsonText(str):
    """A document given as JSON text; it is sent as it is, and the server reads it strictly."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    A Vibe in a request. Documents are Python values, JsonText, or ABSENT.

    Empty `branches` mean the branch of the refine. `expected_revision` None means no
    condition, and 0 that the id must not exist yet.
    """

    type: VibeType
    id: str
    branches: Sequence[str] = ()
    expected_revision: int | None = None
    prototype_ref: str | None = None
    repin: bool = False
    context: Any = ABSENT
    schema: Any = ABSENT
    solution: Any = ABSENT

    def message(self, at: str) -> pb.Draft:
        """Write it; `at` names it in a refusal."""
        return pb.Draft(
            type=wire.vibe_type_number(self.type),
            id=self.id,
            branches=self.branches,
            expected_revision=self.expected_revision,
            prototype_ref=self.prototype_ref,
            repin=self.repin,
            context=document_message(self.context, f"{at}.context"),
            schema=document_message(self.schema, f"{at}.schema"),
            solution=document_message(self.solution, f"{at}.solution"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refine:
    """One refine, with the request_id that all its attempts share."""

    author_ref: str
    drafts: Sequence[Draft]
    branch: str = ""
    target_refs: Sequence[str] = ()
    instruction_refs: Sequence[str] = ()
    budget_refs: Sequence[str] = ()
    validate_only: bool = False
    behalf_ref: str = ""
    request_id: UUID = field(default_factory=uuid.uuid4)

    def message(self) -> pb.RefineRequest:
        """
        Write it.

        Raises:
            InvalidDocument: a document is not JSON that can be kept exactly.
        """
        return pb.RefineRequest(
            request_id=str(self.request_id),
            branch=self.branch,
            author_ref=self.author_ref,
            target_refs=self.target_refs,
            instruction_refs=self.instruction_refs,
            budget_refs=self.budget_refs,
            drafts=[draft.message(f"drafts[{at}]") for at, draft in enumerate(self.drafts)],
            validate_only=self.validate_only,
            behalf_ref=self.behalf_ref,
        )


def extra_seconds(request: pb.RefineRequest) -> float:
    """Return the seconds to add to the deadline for the size of a refine: half a minute at most."""
    return SECONDS_PER_DRAFT * len(request.drafts) + SECONDS_PER_MIB * request.ByteSize() / (1 << 20)


def document_message(value: Any, field: str) -> vibe_pb2.Document | None:
    """Write a document; return None if there is none."""
    if value is ABSENT:
        return None
    if isinstance(value, JsonText):
        return vibe_pb2.Document(json=value)
    try:
        return vibe_pb2.Document(json=documents.sendable(documents.from_value(value).text))
    except documents.DocumentFault as fault:
        raise InvalidDocument(field=field, path=fault.path, problem=fault.problem) from None


def context_message(context: Context | None) -> vibe_pb2.Context | None:
    """Write a context; return None, which means main and now, if there is none."""
    return None if context is None else wire.context_message(context)
