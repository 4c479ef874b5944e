from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from refinery.vibe.v1 import vibe_pb2 as pb
from refinery_core import wire
from refinery_core.errors import InvalidDocument, InvalidField, Violation
from refinery_core.vibe.documents import parse
from refinery_core.vibe.model import Branch, Context, Edge, EdgeType, Pin, Refinement, Vibe, VibeType
from refinery_core.wire import MAX_MESSAGE_BYTES, DocumentForm
from tests.cases.numbers import KEPT, named

TIME = datetime(2026, 11, 21, 4, 5, 6, 789_012, tzinfo=UTC)

VIBE = Vibe(
    ref="main@a/b?3",
    id="a/b",
    branches=("main", "dev/x"),
    revision=3,
    type=VibeType.CAPABILITY,
    author_ref="main@roles/local?1",
    prototype_ref="main@a/b?2",
    refinement_id=UUID("6f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11"),
    position=17,
    time=TIME,
    content_digest=b"c" * 32,
    digest=b"d" * 32,
    schema_refs=("aug:/schemas/user",),
    context="null",
    schema='{"type":"object"}',
    solution='{"a":[1,2.5,null,true,"é"],"b":{}}',
)

REFINEMENT = Refinement(
    id=UUID(int=1),
    position=17,
    request_id=UUID(int=2),
    principal="anonymous",
    time=TIME,
    author_ref="main@roles/local?1",
    target_refs=("main@t?1",),
    instruction_refs=("main@i?1",),
    budget_refs=("main@b?1",),
    vibe_refs=("main@a/b?3",),
    chain=b"h" * 32,
    request_digest=b"r" * 32,
)


def test_nouns_come_back_as_they_went() -> None:
    assert wire.vibe_from(wire.vibe_message(VIBE)) == VIBE
    assert wire.refinement_from(wire.refinement_message(REFINEMENT)) == REFINEMENT
    for branch in (
        Branch("main", None, None, None),
        Branch("dev/x", "main", 0, "main@system/branches/dev/x?1"),
    ):
        assert wire.branch_from(wire.branch_message(branch)) == branch
    edge = Edge("main@a?1", "main@b?1", EdgeType.PROTOTYPE)
    assert wire.edge_from(wire.edge_message(edge)) == edge
    assert wire.pin_from(wire.pin_message(Pin("aug:/a", "main@a?1"))) == Pin("aug:/a", "main@a?1")
    violation = Violation("/a", "/b", "no")
    assert wire.violation_from(wire.violation_message(violation)) == violation


def test_the_basic_view_leaves_the_documents_at_home() -> None:
    message = wire.vibe_message(VIBE, full=False)

    assert not any(message.HasField(name) for name in ("context", "schema", "solution"))
    assert wire.vibe_from(message).solution is None


def test_a_document_null_is_not_an_absent_document() -> None:
    message = wire.vibe_message(VIBE)

    assert message.context.json == "null"
    assert wire.vibe_from(message).context == "null"


def test_documents_travel_as_value_when_asked() -> None:
    message = wire.vibe_message(VIBE, form=DocumentForm.VALUE)

    assert message.context.value.WhichOneof("kind") == "null_value"
    assert MessageToDict(message.solution.value) == json.loads(VIBE.solution or "")
    assert wire.vibe_from(message) == VIBE


def test_what_is_too_deep_for_value_travels_as_json() -> None:
    deep = "[" * 40 + "]" * 40
    message = pb.Document()
    wire.write_document(message, deep, DocumentForm.VALUE)

    assert message.json == deep
    shallow = pb.Document()
    wire.write_document(shallow, "[" * 29 + "]" * 29, DocumentForm.VALUE)
    assert pb.Document.FromString(shallow.SerializeToString()).HasField("value")


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("9007199254740991", "value"),
        ("-9007199254740991", "value"),
        ("333333333.3333333", "value"),
        ("9007199254740992", "json"),
        ("-9007199254740992", "json"),
        ("18446744073709551615", "json"),
        ("1e+21", "json"),
    ],
)
def test_a_number_that_value_would_not_bring_back_travels_as_json(number: str, form: str) -> None:
    text = f'{{"a":[1,{number}]}}'
    message = pb.Document()
    wire.write_document(message, text, DocumentForm.VALUE)

    assert message.WhichOneof("form") == form
    assert wire.document_from(message, "solution").text == text


@pytest.mark.parametrize("literal", KEPT, ids=named)
def test_both_forms_of_a_number_are_the_same_document(literal: str) -> None:
    document = parse(literal)
    for form in DocumentForm:
        message = pb.Document()
        wire.write_document(message, document.text, form)
        assert wire.document_from(message, "solution") == document


@pytest.mark.parametrize(
    ("metadata", "form"),
    [
        (None, DocumentForm.JSON),
        ([("other", b"x")], DocumentForm.JSON),
        ([("document-form", "value")], DocumentForm.VALUE),
        ([("document-form", b"json")], DocumentForm.JSON),
    ],
)
def test_the_form_of_documents_is_metadata(metadata: Any, form: DocumentForm) -> None:
    assert wire.document_form(metadata) is form


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InvalidField, match="neither json nor value"):
        wire.document_form([("document-form", "xml")])


@pytest.mark.parametrize("kind", VibeType)
def test_types_are_the_contracts_by_name(kind: VibeType) -> None:
    assert pb.VibeType.Name(wire.vibe_type_number(kind)) == f"VIBE_TYPE_{kind.name}"
    assert wire.vibe_type_from(wire.vibe_type_number(kind)) is kind


@pytest.mark.parametrize("kind", EdgeType)
def test_edge_types_are_the_contracts_by_name(kind: EdgeType) -> None:
    assert pb.EdgeType.Name(wire.edge_type_number(kind)) == f"EDGE_TYPE_{kind.name}"
    assert wire.edge_type_from(wire.edge_type_number(kind)) is kind


@pytest.mark.parametrize("number", [0, 99, -1])
def test_types_that_are_none_are_refused(number: int) -> None:
    with pytest.raises(InvalidField):
        wire.vibe_type_from(number, "drafts[0].type")
    with pytest.raises(InvalidField):
        wire.edge_type_from(number)


def test_views_mean_what_the_request_says_they_mean_when_absent() -> None:
    assert wire.wants_full(0, absent=True)
    assert not wire.wants_full(0, absent=False)
    assert wire.wants_full(pb.VIBE_VIEW_FULL, absent=False)
    assert not wire.wants_full(pb.VIBE_VIEW_BASIC, absent=True)
    with pytest.raises(InvalidField):
        wire.wants_full(7, absent=True)


@pytest.mark.parametrize(
    "time",
    [
        TIME,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_times_are_exact_to_the_microsecond(time: datetime) -> None:
    message = Timestamp()
    wire.write_time(message, time)

    assert wire.time_from(message) == time
    assert 0 <= message.nanos < 1_000_000_000


def test_a_time_between_microseconds_is_never_read_later() -> None:
    assert wire.time_from(Timestamp(seconds=1, nanos=1_999)).microsecond == 1


@pytest.mark.parametrize(
    "message",
    [Timestamp(seconds=1 << 40), Timestamp(seconds=-(1 << 62)), Timestamp(nanos=-1), Timestamp(nanos=10**9)],
)
def test_a_time_that_is_none_is_refused(message: Timestamp) -> None:
    with pytest.raises(InvalidField) as caught:
        wire.context_from(pb.Context(time=message))

    assert caught.value.metadata["field"] == "context.time"


@pytest.mark.parametrize(
    "context", [Context(), Context("dev/x", 0), Context("dev/x", 7), Context("main", TIME)]
)
def test_contexts_come_back_as_they_went(context: Context) -> None:
    assert wire.context_from(wire.context_message(context)) == context


def test_an_absent_context_is_main_now() -> None:
    assert wire.context_from(pb.Context()) == Context("main", None)


def test_a_negative_position_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"context\.position: is negative"):
        wire.context_from(pb.Context(position=-1))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (pb.Document(json='{"b": 1.0, "a": null}'), '{"a":null,"b":1}'),
        (pb.Document(value=Value(number_value=3)), "3"),
        (pb.Document(value=Value(null_value=0)), "null"),  # type: ignore[arg-type]
        (pb.Document(value=Value(string_value="é")), '"é"'),
    ],
)
def test_documents_are_read_in_either_form(message: pb.Document, text: str) -> None:
    assert wire.document_from(message, "f").text == text


NAN = Value()
NAN.struct_value.fields["a"].list_value.values.add(number_value=float("nan"))
KINDLESS = Value()
KINDLESS.list_value.values.add()


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (pb.Document(), "$"),
        (pb.Document(json=""), "$"),
        (pb.Document(json='{"a":[1,1e999]}'), "$.a[1]"),
        (pb.Document(value=NAN), "$.a[0]"),
        (pb.Document(value=Value()), "$"),
        (pb.Document(value=KINDLESS), "$[0]"),
        (pb.Document(value=Value(number_value=2.0**60)), "$"),
    ],
)
def test_a_document_that_is_none_is_refused_with_the_path_of_the_fault(
    message: pb.Document, path: str
) -> None:
    with pytest.raises(InvalidDocument) as caught:
        wire.document_from(message, "drafts[0].solution")

    assert caught.value.metadata["field"] == "drafts[0].solution"
    assert caught.value.metadata["path"] == path


@pytest.mark.parametrize(
    "text", ["", "x", "{6f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11}", "6f3e1c1e8f0b4c5a9a550d2f7f5a3c11", "-" * 36]
)
def test_a_uuid_has_its_usual_form(text: str) -> None:
    with pytest.raises(InvalidField):
        wire.uuid_from(text, "request_id")


def test_a_uuid_may_be_upper_case() -> None:
    assert wire.uuid_from("6F3E1C1E-8F0B-4C5A-9A55-0D2F7F5A3C11", "request_id") == VIBE.refinement_id


def test_a_refinement_is_cut_from_its_last_list_to_what_fits_and_says_so() -> None:
    lists = {name: tuple(f"main@{name}/{number}?1" for number in range(1_000)) for name in LISTS}
    refinement = replace(
        REFINEMENT,
        vibe_refs=lists["vibe_refs"],
        target_refs=lists["target_refs"],
        instruction_refs=lists["instruction_refs"],
        budget_refs=lists["budget_refs"],
    )
    whole = wire.refinement_message(refinement)
    assert (whole.truncated, whole.ByteSize() > 80_000) == (False, True)
    for room in range(200, whole.ByteSize(), 10_000):
        cut = wire.refinement_message(refinement, room=room)
        kept = [list(getattr(cut, name)) for name in LISTS]
        assert cut.truncated
        assert cut.ByteSize() <= max(room, 400)
        assert cut.ByteSize() > room - 40 or not any(kept)
        for before, after in pairwise(kept):
            assert len(before) == 1_000 or not after
        assert all(list(lists[name])[: len(refs)] == refs for name, refs in zip(LISTS, kept, strict=True))
        assert wire.refinement_from(cut).truncated


LISTS = ("vibe_refs", "target_refs", "instruction_refs", "budget_refs")


def test_a_vibe_is_cut_to_what_a_message_holds_and_its_documents_are_not() -> None:
    refs = tuple(f"aug:/{'x' * 500}/{number}" for number in range(5_000))
    large = replace(VIBE, schema_refs=refs, solution=f'"{"x" * (2 << 20)}"')
    message = wire.vibe_message(large)
    assert message.truncated
    assert MAX_MESSAGE_BYTES - (70 << 10) < message.ByteSize() < MAX_MESSAGE_BYTES
    assert list(message.schema_refs) == list(refs[: len(message.schema_refs)])
    assert message.solution.json == large.solution
    assert wire.vibe_from(message).truncated
    assert not wire.vibe_message(VIBE).truncated


def test_documents_travel_as_json_where_a_vibe_would_be_too_large_as_values() -> None:
    numbers = f"[{','.join('1' * 131_000)}]"
    one = wire.vibe_message(replace(VIBE, solution=numbers), form=DocumentForm.VALUE)
    assert one.solution.HasField("value")
    three = replace(VIBE, context=numbers, schema=numbers, solution=numbers)
    message = wire.vibe_message(three, form=DocumentForm.VALUE)
    assert (message.context.json, message.truncated) == (numbers, False)
    large = f'"{"x" * (300 << 10)}"'
    assert wire.vibe_message(replace(VIBE, context=large), form=DocumentForm.VALUE).context.json == large
