"""Between protobuf and the model: the shared nouns, both ways, for services and clients."""

from __future__ import annotations

import enum
from collections.abc import Iterable, MutableSequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from refinery.vibe.v1 import vibe_pb2 as pb
from refinery_core.errors import InvalidDocument, InvalidField, Violation
from refinery_core.pages import ANSWER_BYTES
from refinery_core.vibe import documents
from refinery_core.vibe.model import Branch, Context, Edge, EdgeType, Pin, Refinement, Vibe, VibeType
from refinery_core.vibe.numbers import DOUBLE_INTEGER
from refinery_core.vibe.roles import Verb

MAX_MESSAGE_BYTES: Final = 4 << 20
"""The largest request or answer: the default limit of gRPC clients."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UUID_LENGTH: Final = 36
# One level of JSON is up to three levels of protobuf, and readers stop at 100.
_VALUE_LEVELS: Final = 30
# Larger documents take more than a tenth of a second to write, and up to seven times the bytes.
_VALUE_CHARACTERS: Final = 256 << 10
# The least bytes that a message takes around a text in a list.
_LEAST_FRAME: Final = 2

_VIBE_TYPES: Final = {kind: pb.VibeType.Value(f"VIBE_TYPE_{kind.name}") for kind in VibeType}
_VIBE_TYPES_BACK: Final[dict[int, VibeType]] = {number: kind for kind, number in _VIBE_TYPES.items()}
_EDGE_TYPES: Final = {kind: pb.EdgeType.Value(f"EDGE_TYPE_{kind.name}") for kind in EdgeType}
_EDGE_TYPES_BACK: Final[dict[int, EdgeType]] = {number: kind for kind, number in _EDGE_TYPES.items()}
_VERBS: Final = {verb: pb.Verb.Value(f"VERB_{verb.name}") for verb in Verb}
_VERBS_BACK: Final[dict[int, Verb]] = {number: verb for verb, number in _VERBS.items()}


class DocumentForm(enum.StrEnum):
    """The form in which documents of an answer travel."""

    JSON = "json"
    VALUE = "value"


LEDGER_ID_KEY = "refinery-ledger-id"
"""The metadata of every answer of ledger and resolver: which ledger it comes from."""
READS_AS_KEY = "refinery-reads-as"
"""The metadata of a call by whoever carries executions out: the id of the Role whose rights it reads with."""


def document_form(metadata: Iterable[tuple[str, str | bytes]] | None) -> DocumentForm:
    """Read the form of documents that a call's metadata asks for."""
    for key, form in metadata or ():
        if key == "document-form":
            try:
                return DocumentForm(form if isinstance(form, str) else form.decode(errors="replace"))
            except ValueError:
                raise InvalidField(field="document-form", problem="is neither json nor value") from None
    return DocumentForm.JSON


# --- Scalars ------------------------------------------------------------------------------


def vibe_type_number(kind: VibeType) -> pb.VibeType.ValueType:
    """Give the contract's number of a type."""
    return _VIBE_TYPES[kind]


def vibe_type_from(number: int, field: str = "type") -> VibeType:
    """Read a type that must be there."""
    try:
        return _VIBE_TYPES_BACK[number]
    except KeyError:
        problem = "is required" if number == 0 else f"{number} is not a type"
        raise InvalidField(field=field, problem=problem) from None


def verb_number(verb: Verb) -> pb.Verb.ValueType:
    """Give the contract's number of a verb."""
    return _VERBS[verb]


def verb_from(number: int, field: str = "verb") -> Verb:
    """Read a verb that must be there."""
    try:
        return _VERBS_BACK[number]
    except KeyError:
        problem = "is required" if number == 0 else f"{number} is not a verb"
        raise InvalidField(field=field, problem=problem) from None


def edge_type_number(kind: EdgeType) -> pb.EdgeType.ValueType:
    """Give the contract's number of an edge type."""
    return _EDGE_TYPES[kind]


def edge_type_from(number: int, field: str = "type") -> EdgeType:
    """Read an edge type that must be there."""
    try:
        return _EDGE_TYPES_BACK[number]
    except KeyError:
        raise InvalidField(field=field, problem=f"{number} is not an edge type") from None


def wants_full(view: int, *, absent: bool, field: str = "view") -> bool:
    """Say whether a view carries the documents; `absent` is what UNSPECIFIED means in this request."""
    if view == pb.VIBE_VIEW_UNSPECIFIED:
        return absent
    if view not in (pb.VIBE_VIEW_BASIC, pb.VIBE_VIEW_FULL):
        raise InvalidField(field=field, problem=f"{view} is not a view")
    return view == pb.VIBE_VIEW_FULL


def uuid_from(text: str, field: str) -> UUID:
    """Read a UUID in its usual form of 36 characters."""
    try:
        if len(text) == _UUID_LENGTH:
            return UUID(text)
    except ValueError:
        pass
    problem = "is not a UUID of the form 6f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11" if text else "is required"
    raise InvalidField(field=field, problem=problem)


def write_time(message: Timestamp, time: datetime) -> None:
    """Write a time into a message, exact to the microsecond."""
    since = time - _EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1_000


def time_from(message: Timestamp, field: str = "create_time") -> datetime:
    """Read a time, cut to microseconds, so that it is never later than said."""
    if not 0 <= message.nanos < 1_000_000_000:
        raise InvalidField(field=field, problem="has nanos outside 0 to 999999999")
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)
    except OverflowError:
        raise InvalidField(field=field, problem="is outside the years 1 to 9999") from None


# --- Documents ----------------------------------------------------------------------------


def write_document(message: pb.Document, text: str, form: DocumentForm) -> None:
    """
    Write JSON text into a message.

    Documents that are too deep or large for `value`, or hold a number beyond ±(2^53-1), travel as `json`: a
    double might not be that number, and `value` could not be sent back.
    """
    if form is DocumentForm.VALUE and len(text) <= _VALUE_CHARACTERS:
        value = Value()
        if _fill(value, orjson.loads(text), _VALUE_LEVELS):
            message.value.CopyFrom(value)
            return
    message.json = documents.sendable(text)


def _fill(message: Value, value: Any, levels: int) -> bool:
    if levels == 0:
        return False
    if value is None:
        message.null_value = 0  # type: ignore[assignment]  # the one value of NullValue
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, (int, float)):
        if not -DOUBLE_INTEGER <= value <= DOUBLE_INTEGER:
            return False
        message.number_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, list):
        message.list_value.SetInParent()
        return all(_fill(message.list_value.values.add(), item, levels - 1) for item in value)
    else:
        message.struct_value.SetInParent()
        fields = message.struct_value.fields
        return all(_fill(fields[key], item, levels - 1) for key, item in value.items())
    return True


def document_from(message: pb.Document, field: str) -> documents.Document:
    """
    Read a document in either form, strictly.

    Raises:
        InvalidDocument: it is not I-JSON within the limits, or has no form.
    """
    try:
        form = message.WhichOneof("form")
        if form == "json":
            return documents.parse(message.json)
        if form == "value":
            return documents.from_value(_plain(message.value, "$"), through_doubles=True)
    except documents.DocumentFault as fault:
        raise InvalidDocument(field=field, path=fault.path, problem=fault.problem) from None
    raise InvalidDocument(field=field, path="$", problem="the Document has no form; set json or value")


def _plain(message: Value, path: str) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        fields = message.struct_value.fields
        return {key: _plain(fields[key], f"{path}.{key}") for key in fields}
    if kind == "list_value":
        return [_plain(item, f"{path}[{at}]") for at, item in enumerate(message.list_value.values)]
    if kind == "number_value":
        return message.number_value
    if kind == "string_value":
        return message.string_value
    if kind == "bool_value":
        return message.bool_value
    if kind == "null_value":
        return None
    raise documents.DocumentFault(path, "the Value has no kind")


# --- Contexts -----------------------------------------------------------------------------


def context_from(message: pb.Context, field: str = "context") -> Context:
    """Read a context; an absent one is main, now."""
    branch = message.branch or "main"
    moment = message.WhichOneof("as_of")
    if moment is None:
        return Context(branch)
    if moment == "time":
        return Context(branch, time_from(message.time, f"{field}.time"))
    if message.position < 0:
        raise InvalidField(field=f"{field}.position", problem="is negative")
    return Context(branch, message.position)


def context_message(context: Context) -> pb.Context:
    """Write a context."""
    message = pb.Context(branch=context.branch)
    if isinstance(context.as_of, datetime):
        write_time(message.time, context.as_of)
    elif context.as_of is not None:
        message.position = context.as_of
    return message


# --- Nouns --------------------------------------------------------------------------------


def vibe_message(vibe: Vibe, *, full: bool = True, form: DocumentForm = DocumentForm.JSON) -> pb.Vibe:
    """
    Write a Vibe; without `full` its documents stay at home.

    What would be too large for a message has its documents as `json`, and as many schema_refs as fit.
    """
    message = _vibe_message(vibe, full=full, form=form)
    if form is DocumentForm.VALUE and message.ByteSize() > ANSWER_BYTES:
        message = _vibe_message(vibe, full=full, form=DocumentForm.JSON)
    if message.ByteSize() > ANSWER_BYTES:
        message.truncated = True
        _cut(message, ANSWER_BYTES, message.schema_refs)
    return message


def _vibe_message(vibe: Vibe, *, full: bool, form: DocumentForm) -> pb.Vibe:
    message = pb.Vibe(
        ref=vibe.ref,
        id=vibe.id,
        branches=vibe.branches,
        revision=vibe.revision,
        type=_VIBE_TYPES[vibe.type],
        author_ref=vibe.author_ref,
        prototype_ref=vibe.prototype_ref,
        refinement_id=str(vibe.refinement_id),
        position=vibe.position,
        content_digest=vibe.content_digest,
        digest=vibe.digest,
        schema_refs=vibe.schema_refs,
        truncated=vibe.truncated,
    )
    write_time(message.create_time, vibe.time)
    if full:
        if vibe.context is not None:
            write_document(message.context, vibe.context, form)
        if vibe.schema is not None:
            write_document(message.schema, vibe.schema, form)
        if vibe.solution is not None:
            write_document(message.solution, vibe.solution, form)
    return message


def _cut(message: Message, room: int, *lists: MutableSequence[str]) -> None:
    """Cut lists of a message, the last one first, each from its end, until it fits or they are empty."""
    for refs in reversed(lists):
        excess, kept = message.ByteSize() - room, len(refs)
        while kept and excess > 0:
            kept -= 1
            excess -= len(refs[kept].encode()) + _LEAST_FRAME
        del refs[kept:]


def vibe_from(message: pb.Vibe) -> Vibe:
    """Read a Vibe."""
    return Vibe(
        ref=message.ref,
        id=message.id,
        branches=tuple(message.branches),
        revision=message.revision,
        type=vibe_type_from(message.type),
        author_ref=message.author_ref,
        prototype_ref=message.prototype_ref if message.HasField("prototype_ref") else None,
        # A refine that was only validated has no refinement.
        refinement_id=UUID(message.refinement_id) if message.refinement_id else UUID(int=0),
        position=message.position,
        time=time_from(message.create_time),
        content_digest=message.content_digest,
        digest=message.digest,
        schema_refs=tuple(message.schema_refs),
        context=_text(message.context, "context") if message.HasField("context") else None,
        schema=_text(message.schema, "schema") if message.HasField("schema") else None,
        solution=_text(message.solution, "solution") if message.HasField("solution") else None,
        truncated=message.truncated,
    )


def _text(message: pb.Document, field: str) -> str:
    # The ledger checked it strictly when it was refined.
    return message.json if message.HasField("json") else document_from(message, field).text


def refinement_message(refinement: Refinement, *, room: int = ANSWER_BYTES) -> pb.Refinement:
    """Write a refinement, its lists cut to what fits into so many bytes."""
    message = pb.Refinement(
        id=str(refinement.id),
        position=refinement.position,
        request_id=str(refinement.request_id),
        principal=refinement.principal,
        author_ref=refinement.author_ref,
        target_refs=refinement.target_refs,
        instruction_refs=refinement.instruction_refs,
        budget_refs=refinement.budget_refs,
        vibe_refs=refinement.vibe_refs,
        chain=refinement.chain,
        request_digest=refinement.request_digest,
        held_as=refinement.held_as or "",
        behalf_ref=refinement.behalf_ref or "",
        truncated=refinement.truncated,
    )
    write_time(message.create_time, refinement.time)
    if message.ByteSize() > room:
        message.truncated = True
        _cut(
            message,
            room,
            message.vibe_refs,
            message.target_refs,
            message.instruction_refs,
            message.budget_refs,
        )
    return message


def refinement_from(message: pb.Refinement) -> Refinement:
    """Read a refinement."""
    return Refinement(
        id=UUID(message.id),
        position=message.position,
        request_id=UUID(message.request_id),
        principal=message.principal,
        time=time_from(message.create_time),
        author_ref=message.author_ref,
        target_refs=tuple(message.target_refs),
        instruction_refs=tuple(message.instruction_refs),
        budget_refs=tuple(message.budget_refs),
        vibe_refs=tuple(message.vibe_refs),
        chain=message.chain,
        request_digest=message.request_digest,
        held_as=message.held_as or None,
        behalf_ref=message.behalf_ref or None,
        truncated=message.truncated,
    )


def branch_message(branch: Branch) -> pb.Branch:
    """Write a branch."""
    return pb.Branch(
        name=branch.name, parent=branch.parent or "", fork_position=branch.fork_position, ref=branch.ref or ""
    )


def branch_from(message: pb.Branch) -> Branch:
    """Read a branch."""
    fork = message.fork_position if message.HasField("fork_position") else None
    return Branch(message.name, message.parent or None, fork, message.ref or None)


def edge_message(edge: Edge) -> pb.Edge:
    """Write an edge."""
    return pb.Edge(from_ref=edge.from_ref, to_ref=edge.to_ref, type=_EDGE_TYPES[edge.type])


def edge_from(message: pb.Edge) -> Edge:
    """Read an edge."""
    return Edge(message.from_ref, message.to_ref, edge_type_from(message.type))


def pin_message(pin: Pin) -> pb.Pin:
    """Write a pin."""
    return pb.Pin(reference=pin.reference, ref=pin.ref)


def pin_from(message: pb.Pin) -> Pin:
    """Read a pin."""
    return Pin(message.reference, message.ref)


def violation_message(violation: Violation) -> pb.Violation:
    """Write a violation."""
    return pb.Violation(
        instance_path=violation.instance_path, schema_path=violation.schema_path, message=violation.message
    )


def violation_from(message: pb.Violation) -> Violation:
    """Read a violation."""
    return Violation(message.instance_path, message.schema_path, message.message)


def fitting_violations(violations: Iterable[Violation], most: int) -> list[pb.Violation]:
    """Write as many violations as fit into so many bytes."""
    written, size = [], 0
    for violation in violations:
        message = violation_message(violation)
        size += message.ByteSize()
        if size > most:
            break
        written.append(message)
    return written
