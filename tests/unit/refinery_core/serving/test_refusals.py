from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from refinery.vibe.v1 import error_reason_pb2
from refinery_core.errors import (
    CATALOGUE,
    InternalError,
    InvalidDocument,
    InvalidField,
    Overloaded,
    RefineryError,
    RevisionConflict,
    SolutionInvalid,
    TypeFixed,
    Violation,
)
from refinery_core.serving.refusals import MAX_DETAILS_BYTES, as_refusal, status_of

PROTO = Path(__file__).parents[4] / "proto/refinery/vibe/v1/error_reason.proto"
ENTRY = re.compile(
    r"^  // (?P<code>[A-Z_]+)\. \"(?P<sentence>.*)\"\n"
    r"  //\n"
    r"  //     (?P<example>\{.*\})\n"
    r"  ERROR_REASON_(?P<reason>[A-Z_]+) = \d+;",
    re.MULTILINE,
)
NAMES = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name
ENTRIES = {entry["reason"]: entry for entry in ENTRY.finditer(PROTO.read_text())}


def test_the_contract_and_the_code_have_the_same_reasons() -> None:
    in_contract = {name.removeprefix("ERROR_REASON_") for name in NAMES}

    assert in_contract - {"UNSPECIFIED"} == ENTRIES.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("reason", CATALOGUE)
def test_the_contract_shows_each_refusal_as_the_code_makes_it(reason: str) -> None:
    entry, kind = ENTRIES[reason], CATALOGUE[reason]
    example = json.loads(entry["example"])

    refusal = _made(kind, example["metadata"])
    status = status_of(refusal)

    assert entry["code"] == refusal.code.name == grpc.StatusCode[entry["code"]].name
    assert status.code == grpc.StatusCode[entry["code"]].value[0]
    assert entry["sentence"] == refusal.message == status.message
    info = _detail(status, ErrorInfo)
    assert example == {"reason": info.reason, "domain": info.domain, "metadata": dict(info.metadata)}


def _made(kind: type[RefineryError], metadata: dict[str, str]) -> RefineryError:
    if kind is SolutionInvalid:
        path, _, message = metadata["first"].partition(": ")
        violation = Violation(path, "/properties/age/minimum", message)
        return SolutionInvalid(field=metadata["field"], violations=(violation,), count=metadata["count"])
    return kind(**metadata)


def _detail(status: Status, kind: Any) -> Any:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            detail = kind()
            packed.Unpack(detail)
            return detail
    return None


def test_a_field_is_named_as_a_bad_request() -> None:
    status = status_of(InvalidField(field="drafts[0].id", problem="is required"))

    (violation,) = _detail(status, BadRequest).field_violations
    assert (violation.field, violation.description) == ("drafts[0].id", "drafts[0].id: is required.")


@pytest.mark.parametrize(
    ("refusal", "subject"),
    [
        (RevisionConflict(field="f", id="orders/1", current=4, expected=3), "orders/1"),
        (TypeFixed(field="f", id="roles/buyer", type="ROLE", asked="RECORD"), "roles/buyer"),
    ],
)
def test_a_state_that_does_not_fit_is_a_failed_precondition(refusal: RefineryError, subject: str) -> None:
    (violation,) = _detail(status_of(refusal), PreconditionFailure).violations

    assert (violation.type, violation.subject) == (refusal.reason, subject)


def test_what_may_be_sent_again_says_when() -> None:
    assert _detail(status_of(Overloaded()), RetryInfo).retry_delay.seconds == 1
    assert _detail(status_of(InvalidField(field="a", problem="b")), RetryInfo) is None


def test_paths_of_violations_travel_as_fragments() -> None:
    violation = Violation("/a b/0", "/properties/a: b/type", "1 is not a string")
    status = status_of(SolutionInvalid(field="drafts[0].solution", violations=(violation,), count="1"))

    (entry,) = _detail(status, BadRequest).field_violations
    assert entry.field == "drafts[0].solution#/a%20b/0"
    assert entry.description == "#/properties/a:%20b/type: 1 is not a string"


HUGE = [
    SolutionInvalid(
        field="drafts[0].solution",
        violations=tuple(Violation("/é" * 200, "/ü" * 200, "ö" * 500) for _ in range(20)),
        count="20+",
    ),
    InvalidDocument(field="😀" * 600, path="😀" * 600, problem="😀" * 600),
    TypeFixed(field="%" * 600, id="\u2028" * 600, type="\x00" * 600, asked="ü" * 600),
    InvalidDocument(field="f", path="$.\ud800", problem="a lone surrogate"),
]


@pytest.mark.parametrize("refusal", HUGE, ids=lambda refusal: refusal.reason)
async def test_the_largest_refusals_reach_the_caller(server: Any, refusal: RefineryError) -> None:
    server.shapes.error = refusal

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.one("refuse")

    assert caught.value.code().value[0] == refusal.code
    raw = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    assert len(raw) <= MAX_DETAILS_BYTES
    status = Status.FromString(raw)
    assert status.message == caught.value.details()
    assert _detail(status, ErrorInfo).reason == refusal.reason


def test_violations_are_left_out_from_the_end_until_the_rest_fits() -> None:
    violations = tuple(Violation(f"/items/{number}", "/items/type", "x" * 190) for number in range(40))
    status = status_of(SolutionInvalid(field="f", violations=violations, count="40"))

    kept = _detail(status, BadRequest).field_violations
    assert 10 <= len(kept) <= 20
    assert kept[0].field == "f#/items/0"


async def test_what_is_no_refusal_is_an_incident_and_tells_nothing(server: Any) -> None:
    server.shapes.error = LookupError('relation "vibes" does not exist: SELECT secret')

    with structlog.testing.capture_logs() as lines, pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.one("refuse")

    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details()) + str(caught.value.trailing_metadata())
    (line,) = [line for line in lines if line["event"] == "incident"]
    assert line["incident"] in str(caught.value.details())
    assert "secret" in str(line["exc_info"])


def test_a_refusal_stays_what_it_is() -> None:
    refusal = Overloaded()

    assert as_refusal(refusal, where="x") is refusal
    assert isinstance(as_refusal(ValueError("x"), where="x"), InternalError)


def test_a_refusal_out_of_a_task_group_stays_what_it_is() -> None:
    refusal = Overloaded()

    assert as_refusal(ExceptionGroup("tasks", [refusal]), where="x") is refusal
    assert isinstance(as_refusal(ExceptionGroup("tasks", [refusal, ValueError()]), where="x"), InternalError)
