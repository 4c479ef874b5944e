"""A gRPC status becomes a refusal again: the same class that the server raised, with its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.errors import CATALOGUE, Code, RefineryError, SolutionInvalid, Violation
from refinery_core.wire import violation_from

_DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = "refinery"


class Refused(RefineryError):  # noqa: N818 -- a refusal, as all of them are
    """{sentence}"""  # noqa: D415 -- the sentence brings its own full stop

    reason, code = "", Code.UNKNOWN

    def __init__(self, sentence: str, *, code: Code, reason: str, metadata: Mapping[str, str]) -> None:
        """Keep the server's message, for a reason that this client does not know."""
        super().__init__(sentence=sentence)
        self.code, self.reason, self.metadata = code, reason, dict(metadata)


class Unreachable(RefineryError):  # noqa: N818 -- as above
    """The {service} service cannot be reached: {problem}."""

    reason, code = "UNREACHABLE", Code.UNAVAILABLE


class NotServed(RefineryError):  # noqa: N818 -- as above
    """The server called as the {service} service cannot do this: it is another one, or an older one."""

    reason, code = "NOT_SERVED", Code.UNIMPLEMENTED


class DeadlineExceeded(RefineryError):  # noqa: N818 -- as above
    """The {service} service did not answer in time."""

    reason, code = "DEADLINE_EXCEEDED", Code.DEADLINE_EXCEEDED


class WriteUnanswered(DeadlineExceeded):
    """The {service} service did not answer in time; it may be committed: send the same request_id again."""


class NoToken(RefineryError):  # noqa: N818 -- as above
    """There is no token to send: {problem}."""

    reason, code = "NO_TOKEN", Code.UNAUTHENTICATED


def refusal_from(error: grpc.aio.AioRpcError, request: object = None) -> RefineryError:
    """Read the refusal from a failed call; the request tells the service, and whether it may be committed."""
    code, sentence = Code(error.code().value[0]), error.details() or error.code().name
    for key, raw in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(raw, bytes):
            status = Status.FromString(raw)
            info, bad = ErrorInfo(), BadRequest()
            for detail in status.details:
                if not detail.Unpack(info):
                    detail.Unpack(bad)
            if info.domain == _DOMAIN and code is not Code.UNIMPLEMENTED:
                return _rebuilt(info.reason, code, sentence, info.metadata, _violations(bad))
    if code is Code.CANCELLED:
        # Who cancels a call himself does not come here. The server let it fall as it stopped, or was flooded.
        return Unreachable(service=_service_of(request), problem="the call was dropped unanswered")
    if code is Code.UNAVAILABLE:
        return _unreachable(request, sentence)
    if code is Code.UNIMPLEMENTED:
        return NotServed(service=_service_of(request))
    if code is Code.DEADLINE_EXCEEDED:
        return unanswered(request)
    return Refused(sentence, code=code, reason=code.name, metadata={})


_HINTS: Final = {
    "WRONG_VERSION_NUMBER": "The server speaks no TLS; REFINERY_TLS=off goes without.",
    "Hostname Verification": "The certificate of the server is for another name; use a name that is in it.",
    "certificate has expired": "The certificate of the server has expired.",
    "CERTIFICATE_VERIFY_FAILED": "Nobody trusted here made the server's certificate; see REFINERY_TLS_CA.",
    "Socket closed": (
        "The server may speak TLS, or want a certificate that it trusts: "
        "see REFINERY_TLS_CA, REFINERY_TLS_CERT and REFINERY_TLS_KEY."
    ),
}
"""The meaning that words of gRPC may have for TLS; its code is UNAVAILABLE for all of them."""


def _unreachable(request: object, sentence: str) -> Unreachable:
    refusal = Unreachable(service=_service_of(request), problem=sentence.rstrip("."))
    hint = next((hint for words, hint in _HINTS.items() if words in sentence), None)
    if hint is not None:
        refusal.add_note(hint)
    return refusal


def unanswered(request: object) -> DeadlineExceeded:
    """Return the error to raise if a request was not answered in time."""
    return (WriteUnanswered if _is_write(request) else DeadlineExceeded)(service=_service_of(request))


def _service_of(request: object) -> str:
    name = request.DESCRIPTOR.full_name if isinstance(request, Message) else ""
    return name.split(".")[1] if name.startswith("refinery.") else "called"


def _is_write(request: object) -> bool:
    """Whether a request commits something: then it has an author, and a key."""
    if not isinstance(request, Message):
        return False
    return {"author_ref", "request_id"} <= set(request.DESCRIPTOR.fields_by_name)


def refusal_in_stream(message: pb.Refusal) -> RefineryError:
    """Read the refusal of one refine of a stream."""
    violations = [violation_from(violation) for violation in message.violations]
    return _rebuilt(message.reason, Code(message.code), message.message, message.metadata, violations)


def _rebuilt(
    reason: str, code: Code, sentence: str, metadata: Mapping[str, str], violations: list[Violation]
) -> RefineryError:
    """Make the class of the reason; a newer server may send one that this client does not know."""
    kind = CATALOGUE.get(reason)
    if kind is None or kind.code != code or not kind.keys <= metadata.keys():
        return Refused(sentence, code=code, reason=reason, metadata=metadata)
    metadata = {key: metadata[key] for key in kind.keys}  # A newer server may say more.
    if issubclass(kind, SolutionInvalid):
        # The details of a refusal are cut to fit; the first violation is told in words as well.
        path, _, message = metadata["first"].partition(": ")
        first = Violation("" if path == "(root)" else path, "", message)
        return SolutionInvalid(
            field=metadata["field"], violations=tuple(violations) or (first,), count=metadata["count"]
        )
    return kind(**metadata)


def _violations(bad: BadRequest) -> list[Violation]:
    return [*_fragments((entry.field, entry.description) for entry in bad.field_violations)]


def _fragments(entries: Iterable[tuple[str, str]]) -> Iterable[Violation]:
    """Both paths travel as URI fragments: `drafts[0].solution#/age` and `#/properties/age: is too low`."""
    for field, description in entries:
        _, hash_mark, instance_path = field.partition("#")
        schema_path, _, message = description.partition(": ")
        if hash_mark and schema_path.startswith("#"):
            yield Violation(unquote(instance_path), unquote(schema_path[1:]), message)
