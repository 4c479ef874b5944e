"""Raw calls of any method of the contract, and the rules for every answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from refinery.ledger.v1 import ledger_service_pb2 as ledger
from refinery.resolver.v1 import resolver_service_pb2 as resolver
from refinery_core.errors import CATALOGUE

LEDGER = ledger.DESCRIPTOR.services_by_name["LedgerService"]
RESOLVER = resolver.DESCRIPTOR.services_by_name["ResolverService"]
METHODS: dict[str, MethodDescriptor] = {
    method.name: method for service in (LEDGER, RESOLVER) for method in service.methods
}
OPTIONS = (("grpc.max_send_message_length", -1),)
SLOWEST_SECONDS = 10.0

_NOT_FOR_PEOPLE = re.compile(
    r"Traceback|File \"|asyncpg|grpc|SQLSTATE|refinery\.[a-z]|relation \"|\b(select|insert into) "
    r"|object at 0x|Error\(|\bNone\b|\bdict\b"
)
"""Words that only the authors of the server would understand."""

_MISTAKES = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS"}


@dataclass(frozen=True)
class Answer:
    """The outcome of a call."""

    code: str
    message: str = ""
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Code and reason, as the rows write it."""
        return f"{self.code} {self.reason}".strip()


def check(answer: Answer, *, echo: str = "") -> None:
    """The rules for every answer; `echo` is the request, which an answer may repeat."""
    assert answer.code not in _MISTAKES, answer
    assert len(answer.message) <= 1_000
    ours = answer.message
    for theirs in (echo, answer.metadata.get("value"), answer.metadata.get("reference")):
        ours = ours.replace(theirs, "…") if theirs else ours
    assert not _NOT_FOR_PEOPLE.search(ours), answer
    if answer.reason:
        assert CATALOGUE[answer.reason].code.name == answer.code
        assert answer.metadata.keys() == CATALOGUE[answer.reason].keys
    else:
        assert answer.code in {"OK", "RESOURCE_EXHAUSTED"}, answer


async def call(channel: Any, method: str, raw: bytes, sent: Sequence[tuple[str, str]] = ()) -> Answer:
    """Call a method by its name, or any path, with these bytes and metadata."""
    descriptor = METHODS.get(method)
    path = f"/{descriptor.containing_service.full_name}/{method}" if descriptor else method
    options = {"metadata": tuple(sent), "timeout": SLOWEST_SECONDS}
    try:
        if descriptor is None or not descriptor.server_streaming:
            await channel.unary_unary(path)(raw, **options)
        elif not descriptor.client_streaming:
            async for _ in channel.unary_stream(path)(raw, **options):
                if method == "WatchVibes":
                    break  # It would go on for ever.
        else:
            answers = channel.stream_stream(path)(iter([raw]), **options)
            return _refused_in_stream(
                [ledger.RefineStreamResponse.FromString(answer) async for answer in answers]
            )
    except grpc.aio.AioRpcError as error:
        return _refused(error)
    return Answer("OK")


def raw(request: Message | bytes) -> bytes:
    """The bytes of a request."""
    return request if isinstance(request, bytes) else request.SerializeToString()


def _refused(error: grpc.aio.AioRpcError) -> Answer:
    message = error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], message)
            info = error_details_pb2.ErrorInfo()
            assert status.details[0].Unpack(info)
            assert info.domain == "refinery"
            return Answer(error.code().name, message, info.reason, dict(info.metadata))
    return Answer(error.code().name, message)


def _refused_in_stream(answers: list[ledger.RefineStreamResponse]) -> Answer:
    (answer,) = answers
    if answer.HasField("response"):
        return Answer("OK")
    refusal = answer.refusal
    code = next(code.name for code in grpc.StatusCode if code.value[0] == refusal.code)
    return Answer(code, refusal.message, refusal.reason, dict(refusal.metadata))
