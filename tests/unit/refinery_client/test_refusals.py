from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.process.v1 import process_service_pb2 as process_pb
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import NotServed, Refused
from refinery_client.refusals import refusal_from, refusal_in_stream
from refinery_core.errors import (
    CATALOGUE,
    Code,
    RefineryError,
    SolutionInvalid,
    UnknownMethod,
    VibeNotFound,
    Violation,
)
from refinery_core.serving.refusals import status_of


def _failed(status: Status) -> grpc.aio.AioRpcError:
    codes = {code.value[0]: code for code in grpc.StatusCode}
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(codes[status.code], grpc.aio.Metadata(), trailers, status.message)


def _one_of(kind: type[RefineryError]) -> RefineryError:
    if kind is SolutionInvalid:
        return SolutionInvalid(field="f", violations=(Violation("/a", "/b", "no: way"),), count="1")
    return kind(**{key: f"a {key}" for key in kind.keys})


@pytest.mark.parametrize("reason", [reason for reason in CATALOGUE if reason != UnknownMethod.reason])
def test_every_refusal_comes_back_as_what_it_was(reason: str) -> None:
    raised = _one_of(CATALOGUE[reason])

    caught = refusal_from(_failed(status_of(raised)))

    assert type(caught) is type(raised)
    assert (caught.metadata, caught.message, caught.code) == (raised.metadata, raised.message, raised.code)
    if isinstance(raised, SolutionInvalid) and isinstance(caught, SolutionInvalid):
        assert caught.violations == raised.violations


@pytest.mark.parametrize("reason", CATALOGUE)
def test_so_does_every_refusal_inside_a_stream(reason: str) -> None:
    raised = _one_of(CATALOGUE[reason])
    message = pb.Refusal(
        code=int(raised.code), reason=raised.reason, message=raised.message, metadata=raised.metadata
    )

    caught = refusal_in_stream(message)

    assert type(caught) is type(raised)
    assert (caught.metadata, caught.message) == (raised.metadata, raised.message)


def test_violations_inside_a_stream_are_those_of_the_message() -> None:
    raised = _one_of(SolutionInvalid)
    message = pb.Refusal(code=3, reason=raised.reason, message=raised.message, metadata=raised.metadata)
    message.violations.append(vibe_pb2.Violation(instance_path="/x", schema_path="/y", message="z"))

    caught = refusal_in_stream(message)

    assert isinstance(caught, SolutionInvalid)
    assert caught.violations == (Violation("/x", "/y", "z"),)


def test_a_refusal_of_which_a_newer_server_says_more_is_the_same_refusal() -> None:
    packed = AnyMessage()
    packed.Pack(
        ErrorInfo(reason="VIBE_NOT_FOUND", domain="refinery", metadata={"reference": "x", "more": "y"})
    )

    caught = refusal_from(_failed(Status(code=5, message="It is so.", details=[packed])))

    assert isinstance(caught, VibeNotFound)
    assert caught.metadata == {"reference": "x"}


@pytest.mark.parametrize(
    ("reason", "metadata"),
    [("FROM_THE_FUTURE", {"a": "b"}), ("VIBE_NOT_FOUND", {"more": "y"})],
)
def test_what_this_client_does_not_know_is_told_as_it_came(reason: str, metadata: dict[str, str]) -> None:
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=reason, domain="refinery", metadata=metadata))

    caught = refusal_from(_failed(Status(code=5, message="It is so.", details=[packed])))

    assert type(caught) is Refused
    assert (caught.reason, caught.code, caught.message) == (reason, Code.NOT_FOUND, "It is so.")
    assert caught.metadata == metadata


def test_an_unknown_method_comes_back_as_the_address_of_somebody_else() -> None:
    caught = refusal_from(_failed(status_of(UnknownMethod())), pb.GetVibeRequest())

    assert isinstance(caught, NotServed)
    assert caught.metadata == {"service": "ledger"}


@pytest.mark.parametrize(
    ("code", "request_", "sentence"),
    [
        ("UNAVAILABLE", pb.GetVibeRequest(), "The ledger service cannot be reached: somebody said so."),
        ("UNAVAILABLE", resolver_pb.ResolveReferenceRequest(), "The resolver service cannot be reached: "),
        ("UNAVAILABLE", process_pb.GetExecutionRequest(), "The process service cannot be reached: "),
        (
            "UNIMPLEMENTED",
            pb.GetVibeRequest(),
            "The server called as the ledger service cannot do this",
        ),
        ("CANCELLED", pb.RefineRequest(), "cannot be reached: the call was dropped unanswered."),
        ("DEADLINE_EXCEEDED", pb.GetRefinementRequest(), "The ledger service did not answer in time."),
        ("DEADLINE_EXCEEDED", pb.RefineRequest(), "send the same request_id again"),
        ("DEADLINE_EXCEEDED", process_pb.SendEventRequest(), "send the same request_id again"),
        ("DEADLINE_EXCEEDED", HealthCheckRequest(), "The called service did not answer in time."),
    ],
)
def test_what_was_asked_tells_whom_and_what_may_have_come_of_it(
    code: str, request_: Message, sentence: str
) -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode[code], grpc.aio.Metadata(), grpc.aio.Metadata(), "somebody said so"
    )

    assert sentence in refusal_from(error, request_).message


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_status_of_somebody_else_is_a_refusal_too(code: Any) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "somebody said so")

    caught = refusal_from(error)

    # A call that its caller cancels never comes here; one that the server dropped is sent again.
    wanted = grpc.StatusCode.UNAVAILABLE if code is grpc.StatusCode.CANCELLED else code
    assert caught.code == wanted.value[0]
    assert caught.reason
