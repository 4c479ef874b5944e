"""A row of the table of bad input, the requests that rows start from, and the ledger before them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from refinery.ledger.v1 import ledger_service_pb2 as ledger
from refinery.vibe.v1 import vibe_pb2 as vibe

AUTHOR = "main@system/genesis?1"
REQUEST_ID = "5f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11"
MIB = 1 << 20

MALFORMED = "INVALID_ARGUMENT MALFORMED_REQUEST"
FIELD = "INVALID_ARGUMENT INVALID_FIELD"
REFERENCE = "INVALID_ARGUMENT INVALID_REFERENCE"
DOCUMENT = "INVALID_ARGUMENT INVALID_DOCUMENT"
SCHEMA = "INVALID_ARGUMENT INVALID_SCHEMA"
RESERVED = "INVALID_ARGUMENT RESERVED_ID"
TOKEN = "INVALID_ARGUMENT INVALID_PAGE_TOKEN"
SOLUTION = "INVALID_ARGUMENT SOLUTION_INVALID"
POSITION = "OUT_OF_RANGE POSITION_OUT_OF_RANGE"
NO_VIBE = "NOT_FOUND VIBE_NOT_FOUND"
NO_REFINEMENT = "NOT_FOUND REFINEMENT_NOT_FOUND"
NO_BRANCH = "NOT_FOUND BRANCH_NOT_FOUND"
UNKNOWN_REFERENCE = "FAILED_PRECONDITION UNKNOWN_REFERENCE"
NO_SCHEMA = "FAILED_PRECONDITION SCHEMA_MISSING"
NO_SOLUTION = "FAILED_PRECONDITION SOLUTION_MISSING"
TYPE = "FAILED_PRECONDITION TYPE_FIXED"
NOT_AN_AUTHOR = "FAILED_PRECONDITION AUTHOR_NOT_ALLOWED"
TOO_DEEP = "FAILED_PRECONDITION RESOLUTION_TOO_DEEP"
TOO_LARGE = "FAILED_PRECONDITION RESOLUTION_TOO_LARGE"
BRANCH_EXISTS = "ALREADY_EXISTS BRANCH_EXISTS"
CONFLICT = "ABORTED REVISION_CONFLICT"
ANSWERED = "OK"


@dataclass(frozen=True)
class Row:
    """One request, and what must come of it."""

    claim: str
    method: str
    request: Message | bytes
    expected: str
    """Code and reason; a code alone where gRPC itself refuses, or where there is an answer."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Some of the metadata of the ErrorInfo."""
    sent: tuple[tuple[str, str], ...] = ()
    """The metadata of the call."""


def json_document(text: str) -> vibe.Document:
    return vibe.Document(json=text)


def document(value: Any) -> vibe.Document:
    return json_document(json.dumps(value))


def draft(**fields: Any) -> ledger.Draft:
    return ledger.Draft(**{"type": vibe.VIBE_TYPE_RECORD, "id": "new", **fields})


def refine(*drafts: ledger.Draft, **fields: Any) -> ledger.RefineRequest:
    """A refine of these drafts, valid except for the given fields."""
    given = {"request_id": REQUEST_ID, "author_ref": AUTHOR, "drafts": drafts or [draft()], **fields}
    return ledger.RefineRequest(**given)


def refine_of(**fields: Any) -> ledger.RefineRequest:
    """A refine of one draft."""
    return refine(draft(**fields))


def refine_schema(schema: Any, **fields: Any) -> ledger.RefineRequest:
    return refine_of(schema=document(schema), **fields)


def bomb(levels: int) -> tuple[Any, Any]:
    """A schema that looks twice at each level, and a document of these levels that does not satisfy it."""
    schema: dict[str, Any] = {f"s{levels}": {"type": "string"}}
    document_: Any = {}
    for level in range(levels):
        below = {"properties": {"a": {"$ref": f"#/$defs/s{level + 1}"}}}
        schema[f"s{level}"] = {"anyOf": [below, below]}
        document_ = {"a": document_}
    return {"$defs": schema, "$ref": "#/$defs/s0"}, document_


def nested_lists(levels: int) -> bytes:
    """A google.protobuf.Value of lists nested this deep, which no library would write."""
    value = b""
    for _ in range(levels):
        value = _tagged(6, _tagged(1, value))
    return value


def _tagged(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


# --- What the ledger holds before ----------------------------------------------------------

USER = {
    "type": "object",
    "required": ["age"],
    "properties": {"age": {"type": "integer", "minimum": 0}},
    "$defs": {"name": {"type": "string"}},
}
DEEPEST = 32
DIAMONDS = 28


def seeds() -> list[ledger.RefineRequest]:
    """Refines that are all good, in order."""
    drafts = [
        draft(id="roles/editor", type=vibe.VIBE_TYPE_ROLE),
        draft(id="schemas/user", schema=document(USER)),
        draft(id="records/plain", solution=document({"a": 1})),
        draft(
            id="records/typed", schema=document({"$ref": "aug:/schemas/user"}), solution=document({"age": 1})
        ),
        draft(id="schemas/shared", branches=["main", "dev"], schema=document({})),
    ]
    deep = [_deep(level) for level in range(DEEPEST + 1)]
    diamonds = [_diamond(level) for level in range(DIAMONDS + 1)]
    large = [draft(id=f"large/{n}", schema=document({"const": "x" * (MIB * 6 // 10)})) for n in range(2)]
    twice = [draft(id="schemas/twice"), draft(id="schemas/twice")]
    return [
        ledger.RefineRequest(
            request_id=f"00000000-0000-4000-8000-{number:012}", author_ref=AUTHOR, drafts=drafts
        )
        for number, drafts in enumerate((drafts, deep, diamonds, large, twice))
    ]


def _deep(level: int) -> ledger.Draft:
    schema = {"properties": {"next": {"$ref": f"aug:/deep/{level - 1}"}}} if level else {"type": "object"}
    return draft(id=f"deep/{level}", schema=document(schema))


def _diamond(level: int) -> ledger.Draft:
    lower = {"$ref": f"aug:/diamonds/{level - 1}"}
    schema = {"properties": {"left": lower, "right": lower}} if level else {}
    return draft(id=f"diamonds/{level}", schema=document(schema))
