"""The only place where a RefineryError becomes a gRPC status, with details that fit its trailers."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote
from uuid import uuid4

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from refinery_core.errors import (
    Code,
    Contention,
    DatabaseUnavailable,
    Draining,
    InternalError,
    LedgerUnavailable,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    ReadOnly,
    RefineryError,
    SolutionInvalid,
    StorageFull,
    TemporalUnavailable,
    Violation,
)
from refinery_core.serving.around import Call
from refinery_core.serving.audit import DENIALS
from refinery_core.texts import cut_bytes
from refinery_core.vibe.pointers import as_fragment

DOMAIN: Final = "refinery"
DETAILS_KEY: Final = "grpc-status-details-bin"

# Peers drop trailers beyond 8 KB, and some of them count base64: a third more than what is here.
MAX_DETAILS_BYTES: Final = 5_000
MAX_SENTENCE_BYTES: Final = 1_000
MAX_VIOLATIONS: Final = 20

_RETRY_AFTER_MS: Final[dict[type[RefineryError], int]] = {
    Contention: 20,
    OutcomeUnknown: 100,
    DatabaseUnavailable: 500,
    ReadOnly: 500,
    LedgerUnavailable: 500,
    TemporalUnavailable: 500,
    Draining: 100,
    Overloaded: 1_000,
    StorageFull: 60_000,
}

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

_log = structlog.get_logger("refinery.refusals")


class Refusals:
    """Answers every error with its status. A cancelled or already aborted call passes as it is."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    async def __aenter__(self) -> None:
        """Let the call run."""

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Abort it with the status of its error; this is the edge: nothing unforeseen may pass."""
        if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
            return
        call = self._call
        refusal = call.refusal = as_refusal(error, where=call.method)
        if isinstance(refusal, PermissionDenied):
            DENIALS.note(refusal, call.method)
        status = status_of(refusal)
        await call.context.abort(
            _CODES[refusal.code],
            status.message,
            ((DETAILS_KEY, status.SerializeToString()), *call.metadata),
        )


def as_refusal(error: Exception, *, where: str) -> RefineryError:
    """Give the refusal that an error is; what is none is our mistake: logged in full, told in short."""
    if isinstance(error, RefineryError):
        return error
    if isinstance(error, ExceptionGroup) and isinstance(error.exceptions[0], RefineryError):
        # A task group wraps what its body raises.
        _, unforeseen = error.split(RefineryError)
        if unforeseen is None:
            return error.exceptions[0]
    incident = uuid4().hex[:12]
    _log.error("incident", incident=incident, where=where, exc_info=error)
    return InternalError(incident=incident)


def status_of(refusal: RefineryError) -> Status:
    """Give the rich status: violations are left out first, then long values are cut, until it fits."""
    violations = refusal.violations[:MAX_VIOLATIONS] if isinstance(refusal, SolutionInvalid) else ()
    longest = 600
    status = _status(refusal, violations, longest)
    while status.ByteSize() > MAX_DETAILS_BYTES:
        if violations:
            violations = violations[:-1]
        else:
            longest //= 2
        status = _status(refusal, violations, longest)
    return status


def _status(refusal: RefineryError, violations: tuple[Violation, ...], longest: int) -> Status:
    metadata = {key: cut_bytes(value, longest) for key, value in refusal.metadata.items()}
    details: list[Message] = [ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata)]
    message = _cut_quoted(refusal.message, MAX_SENTENCE_BYTES)
    sentence = cut_bytes(message, longest)
    if refusal.code in (Code.FAILED_PRECONDITION, Code.ABORTED):
        details.append(_precondition(refusal.reason, metadata, sentence))
    elif violations:
        details.append(_bad_request(metadata["field"], violations))
    elif "field" in metadata:
        field = BadRequest.FieldViolation(field=metadata["field"], description=sentence)
        details.append(BadRequest(field_violations=[field]))
    if type(refusal) in _RETRY_AFTER_MS:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(_RETRY_AFTER_MS[type(refusal)])
        details.append(retry)
    return Status(code=int(refusal.code), message=message, details=[_packed(detail) for detail in details])


def _precondition(reason: str, metadata: dict[str, str], sentence: str) -> PreconditionFailure:
    named = (metadata[key] for key in ("id", "reference", "ref", "field") if key in metadata)
    violation = PreconditionFailure.Violation(type=reason, subject=next(named, ""), description=sentence)
    return PreconditionFailure(violations=[violation])


def _bad_request(field: str, violations: tuple[Violation, ...]) -> BadRequest:
    """Both paths travel as URI fragments (RFC 6901, section 6): a client can tell them from the rest."""
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=f"{field}#{as_fragment(violation.instance_path)}",
                description=f"#{as_fragment(violation.schema_path)}: {cut_bytes(violation.message, 200)}",
            )
            for violation in violations
        ]
    )


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _cut_quoted(message: str, longest: int) -> str:
    """Cut a message to so many bytes as gRPC writes it: percent-encoded."""
    message = cut_bytes(message, longest)
    while len(quote(message, safe=_PRINTABLE)) > longest:
        message = message[: len(message) * 3 // 4] + "…"
    return message


_PRINTABLE: Final = "".join(chr(point) for point in range(0x20, 0x7F) if chr(point) != "%")
