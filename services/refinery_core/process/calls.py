"""Reads the call of a call task: its kind first, then the arguments of that kind."""

from __future__ import annotations

import re
from collections.abc import Callable

from refinery_core.process.authentications import read_authentication
from refinery_core.process.endpoints import read_document, read_endpoint
from refinery_core.process.model import (
    Answer,
    AnyCall,
    CapabilityCall,
    GrpcCall,
    HttpCall,
    OpenApiCall,
    PythonCall,
)
from refinery_core.process.parts import ReferenceUse, Template
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Stage, wrapped
from refinery_core.vibe.refs import SCHEME

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_UNSUPPORTED = ("asyncapi", "a2a", "mcp")
_ANSWERS = tuple(answer.value for answer in Answer)
_IS_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?").fullmatch
_IS_SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*").fullmatch
_IS_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*").fullmatch
_IS_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch


def read_call(task: Place, reading: Reading, scope: Scope) -> AnyCall | str:
    """Read the call of a call task; a string is the name of a function in `use.functions`."""
    target = task.at("call")
    name = target.constant("what is called")
    arguments = task.at("with") if "with" in task.value else None
    if name in _UNSUPPORTED:
        target.refuse(f"a call of '{name}' is not supported; http, openapi, grpc and 'aug:' capabilities are")
    if name in _READERS:
        if arguments is None:
            task.refuse(f"a call of {name} needs 'with'")
        return _READERS[name](arguments, reading, scope)
    if reading.capability:
        target.refuse("a capability is one call of http, openapi, grpc or python; a process chains them")
    if name.startswith(SCHEME):
        uri = reading.reference(target, "a capability", ReferenceUse.CAPABILITY)
        return CapabilityCall(capability=uri, arguments=read_arguments(arguments, reading, scope))
    if "@" in name or "://" in name:
        target.refuse(
            "functions are not fetched from catalogs; call a Capability Vibe, such as aug:/capabilities/x"
        )
    known = (*reading.shared.functions, *(kind for kind in _READERS if kind != "python"))
    return target.named("function", known, "use.functions")


def read_arguments(place: Place | None, reading: Reading, scope: Scope) -> Template | None:
    """Read named arguments."""
    if place is None:
        return None
    place.pairs("'with'")
    return reading.template(place, scope, Stage.INSIDE)


def _read_http(place: Place, reading: Reading, scope: Scope) -> HttpCall:
    known = ("method", "endpoint", "headers", "query", "body", "output", "redirect")
    members = place.members("an http call", known, ("method", "endpoint"))
    method = members["method"].constant("'method'").upper()
    if method not in METHODS:
        members["method"].refuse(f"'method' needs to be one of {', '.join(METHODS)}")
    body = members.get("body")
    return HttpCall(
        method=method,
        endpoint=read_endpoint(members["endpoint"], reading, scope),
        headers=_read_headers(members.get("headers"), reading, scope),
        query=_read_fields(members.get("query"), "'query'", reading, scope),
        body=None if body is None else reading.template(body, scope, Stage.INSIDE),
        answer=_read_answer(members.get("output")),
        redirect=_read_redirect(members.get("redirect")),
    )


def _read_headers(place: Place | None, reading: Reading, scope: Scope) -> Template | None:
    if place is not None and isinstance(place.value, dict):
        for name, header in place.pairs("'headers'").items():
            if not _IS_HEADER(name):
                header.refuse("this is no name of a header")
            header.text("a header")
    return _read_fields(place, "'headers'", reading, scope)


def _read_fields(place: Place | None, what: str, reading: Reading, scope: Scope) -> Template | None:
    """Read an object of plain values, or an expression that gives one."""
    if place is None:
        return None
    if isinstance(place.value, str):
        if wrapped(place.value) is None:
            place.refuse(f"{what} needs to be an object or an expression in ${{ }}")
        return reading.whole(place, what, scope, Stage.INSIDE)
    for value in place.pairs(what).values():
        for item in value.items(what, empty=True) if isinstance(value.value, list) else [value]:
            if isinstance(item.value, dict | list):
                item.refuse_type(f"a value in {what}", "a string, a number or a boolean")
    return reading.template(place, scope, Stage.INSIDE)


def _read_answer(place: Place | None) -> Answer:
    return Answer.CONTENT if place is None else Answer(place.choice("'output'", _ANSWERS))


def _read_redirect(place: Place | None) -> bool:
    return False if place is None else place.flag("'redirect'")


def _read_openapi(place: Place, reading: Reading, scope: Scope) -> OpenApiCall:
    known = ("document", "operationId", "parameters", "authentication", "output", "redirect")
    members = place.members("an openapi call", known, ("document", "operationId"))
    return OpenApiCall(
        document=read_document(members["document"], "an OpenAPI document", reading, scope),
        operation=members["operationId"].constant("'operationId'"),
        parameters=read_arguments(members.get("parameters"), reading, scope),
        authentication=read_authentication(members.get("authentication"), reading, scope),
        answer=_read_answer(members.get("output")),
        redirect=_read_redirect(members.get("redirect")),
    )


def _read_grpc(place: Place, reading: Reading, scope: Scope) -> GrpcCall:
    known = ("proto", "service", "method", "arguments")
    members = place.members("a grpc call", known, ("service", "method"))
    service = members["service"].members(
        "a grpc service", ("name", "host", "port", "authentication"), ("name", "host")
    )
    descriptor = None
    if (proto := members.get("proto")) is not None:
        endpoint = proto.members("'proto'", ("name", "endpoint"), ("endpoint",))["endpoint"]
        if isinstance(endpoint.value, dict):
            endpoint = endpoint.members("an endpoint", ("uri",), ("uri",))["uri"]
        what = "a descriptor (without 'proto' the server is asked by reflection)"
        descriptor = reading.reference(endpoint, what, ReferenceUse.DOCUMENT)
    port = service.get("port")
    return GrpcCall(
        service=_read_word(service["name"], "the name of a grpc service", _IS_SERVICE),
        method=_read_word(members["method"], "a grpc method", _IS_SERVICE),
        host=_read_word(service["host"], "a host", _IS_HOST),
        port=None if port is None else port.integer("a port", 1, 65_535),
        descriptor=descriptor,
        arguments=read_arguments(members.get("arguments"), reading, scope),
        authentication=read_authentication(service.get("authentication"), reading, scope),
    )


def _read_python(place: Place, reading: Reading, scope: Scope) -> PythonCall:
    if not reading.capability:
        place.refuse("only a capability calls python; call that capability by its 'aug:' reference")
    members = place.members("a python call", ("function", "arguments"), ("function",))
    return PythonCall(
        function=_read_word(members["function"], "'function'", _IS_FUNCTION),
        arguments=read_arguments(members.get("arguments"), reading, scope),
    )


def _read_word(place: Place, what: str, is_word: Callable[[str], re.Match[str] | None]) -> str:
    text = place.constant(what)
    if is_word(text) is None:
        place.refuse(f"{what} cannot be written like that")
    return text


_READERS: dict[str, Callable[[Place, Reading, Scope], AnyCall]] = {
    "http": _read_http,
    "openapi": _read_openapi,
    "grpc": _read_grpc,
    "python": _read_python,
}
