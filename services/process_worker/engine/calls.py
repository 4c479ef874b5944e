"""The calls of an execution, filled in: frozen messages, and the JSON that Temporal keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Final, TypeVar

from process_worker.engine.faults import standard

T = TypeVar("T")

ABSENT: Final = object()
"""The value of a member that is left out of the JSON."""


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """Credentials that a secret of the worker holds."""

    scheme: str
    secret: str


@dataclass(frozen=True, slots=True)
class Values:
    """
    Credentials by their paths, such as `client.id`: texts, and expressions with all that they read.

    Expressions are evaluated where the call is made, so that no secret gets into a history.
    """

    scheme: str
    texts: dict[str, str]
    expressions: dict[str, str]
    input: Any = None
    variables: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    """The names of the secrets that `$secrets` is to have."""


Authentication = NamedSecret | Values


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The solution of a Vibe."""

    ref: str


@dataclass(frozen=True, slots=True)
class WebDocument:
    """The answer to a GET request."""

    uri: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """
    An HTTP request. `answer` is `content`, `response` or `raw`; `redirect` says whether to follow one.

    A query may have lists of values; `body` is ABSENT where nothing is sent, a text, or any other JSON.
    """

    KIND: ClassVar = "http"
    method: str
    uri: str
    headers: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = ABSENT
    answer: str = "content"
    redirect: bool = False
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class OpenApiCall:
    """A call of an operation of an OpenAPI document."""

    KIND: ClassVar = "openapi"
    document: StoredDocument | WebDocument
    operation: str
    parameters: dict[str, Any] = field(default_factory=dict)
    document_authentication: Authentication | None = None
    answer: str = "content"
    redirect: bool = False
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class GrpcCall:
    """A call of a unary gRPC method; without a descriptor, a ref, the server says what its messages are."""

    KIND: ClassVar = "grpc"
    service: str
    method: str
    host: str
    port: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    descriptor: str | None = None
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class CapabilityCall:
    """A call of a Capability Vibe."""

    KIND: ClassVar = "capability"
    ref: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class PythonCall:
    """A call of a function that the worker knows by this name."""

    KIND: ClassVar = "python"
    function: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Emit:
    """A CloudEvent to commit."""

    KIND: ClassVar = "emit"
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fetch:
    """The solution of a Vibe, to read."""

    KIND: ClassVar = "fetch"
    ref: str


@dataclass(frozen=True, slots=True)
class RunProcess:
    """A process to execute as a child; `wait` says whether its result is needed. No activity does this."""

    ref: str
    input: Any
    wait: bool


Call = HttpCall | OpenApiCall | GrpcCall | CapabilityCall | PythonCall | Emit | Fetch
"""The calls that an activity makes."""

_KINDS: Final[dict[str, type[Call]]] = {
    kind.KIND: kind for kind in (HttpCall, OpenApiCall, GrpcCall, CapabilityCall, PythonCall, Emit, Fetch)
}


def written(message: Any) -> dict[str, Any]:
    """Write a call, or a part of one, as JSON: its members, without those that are ABSENT."""
    members = {each.name: getattr(message, each.name) for each in fields(message)}
    return {
        name: written(member) if is_dataclass(member) else member
        for name, member in members.items()
        if member is not ABSENT
    }


def read(kind: str, what: Mapping[str, Any]) -> Call:
    """
    Read a call that `written` wrote, also one with members of a newer worker.

    Raises:
        Fault: this worker knows no such kind.
    """
    if kind not in _KINDS:
        raise standard("configuration", f"a call of {kind} is not supported by this worker")
    return _read(
        _KINDS[kind], {name: _PARTS[name](part) if name in _PARTS else part for name, part in what.items()}
    )


def _read(message: type[T], members: Mapping[str, Any]) -> T:
    known: Any = {each.name for each in fields(message)}  # type: ignore[arg-type]
    return message(**{name: member for name, member in members.items() if name in known})


def _authentication(what: Mapping[str, Any] | None) -> Authentication | None:
    if what is None:
        return None
    return _read(NamedSecret, what) if "secret" in what else _read(Values, what)


def _document(what: Mapping[str, Any]) -> StoredDocument | WebDocument:
    return _read(StoredDocument, what) if "ref" in what else _read(WebDocument, what)


_PARTS: Final = {
    "authentication": _authentication,
    "document_authentication": _authentication,
    "document": _document,
}
"""The members that are messages themselves, whichever call has them."""
