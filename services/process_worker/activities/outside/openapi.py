"""OpenAPI calls: finds the operation in the document, and makes an HTTP call of its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

from process_worker.activities.outside.http import form, plain
from process_worker.engine.calls import ABSENT, HttpCall, OpenApiCall
from process_worker.engine.faults import Fault, standard
from refinery_core.vibe import pointers

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_BODY: Final = "body"
_PLACES: Final = ("path", "query", "header", "formData", _BODY)
_FORM: Final = "application/x-www-form-urlencoded"


def request_of(document: Any, call: OpenApiCall, base: str | None) -> HttpCall:
    """
    The HTTP call for a call of an operation.

    `base` is the URI of the document, against which a relative server is resolved. Arguments that are no
    parameters of the operation are members of its body; an argument named `body` is the whole body.

    Raises:
        Fault: there is no such operation, a parameter is missing, or the document is no OpenAPI document.
    """
    try:
        return _request_of(document, call, base)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise _refused("this is no OpenAPI document, or one with a mistake in it") from None


def _request_of(document: Any, call: OpenApiCall, base: str | None) -> HttpCall:
    method, path, item, operation = _operation(document, call.operation)
    arguments = dict(call.parameters)
    placed = _placed(_parameters(document, item, operation), arguments)
    body = placed[_BODY].get(_BODY, ABSENT)
    if "requestBody" in operation and arguments:
        body = arguments.get(_BODY, arguments)
        if _is_form(_inside_or_itself(document, operation["requestBody"])):
            placed["formData"] = body
    elif arguments:
        raise _refused(f"the operation has no parameter '{next(iter(arguments))}'")
    if placed["formData"]:
        body = form(placed["formData"])
        placed["header"]["Content-Type"] = _FORM
    for name, value in placed["path"].items():
        if value in {"", ".", ".."}:
            raise _refused(f"the parameter '{name}' is a part of the path, and cannot be '{value}'")
        path = path.replace(f"{{{name}}}", quote(value, safe=","))
    return HttpCall(
        method=method.upper(),
        uri=_server(document, item, operation, base).rstrip("/") + path,
        headers=placed["header"],
        query=placed["query"],
        body=body,
        answer=call.answer,
        redirect=call.redirect,
        authentication=call.authentication,
    )


def _placed(parameters: Iterable[dict[str, Any]], arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters by their places; they are removed from the arguments."""
    placed: dict[str, dict[str, Any]] = {place: {} for place in _PLACES}
    for parameter in parameters:
        name, place = parameter["name"], parameter["in"]
        if name not in arguments:
            if parameter.get("required"):
                raise _refused(f"the operation needs the parameter '{name}'")
            continue
        if place not in placed:
            raise _refused(f"parameters in '{place}' are not supported")
        value = arguments.pop(name)
        placed[place].update({_BODY: value} if place == _BODY else _written(parameter, value))
    return placed


def _written(parameter: dict[str, Any], value: Any) -> dict[str, Any]:
    """The fields that a parameter is sent as; an exploded list is sent as one field with many values."""
    name, place = parameter["name"], parameter["in"]
    style = parameter.get("style", "form" if place in {"query", "formData"} else "simple")
    if style not in {"form", "simple"} or (isinstance(value, dict) and place != "query"):
        raise _refused(f"the parameter '{name}' has a style that is not supported")
    # Version 2 of OpenAPI names the style of a list otherwise, and joins it by default.
    explode = parameter.get("explode", style == "form" and "type" not in parameter)
    if style == "form" and (explode or parameter.get("collectionFormat") == "multi"):
        return value if isinstance(value, dict) else {name: value}
    parts = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
    return {name: ",".join(map(plain, parts)) if isinstance(parts, list) else plain(parts)}


def _is_form(body: dict[str, Any]) -> bool:
    kinds = list(body.get("content", ()))
    if not kinds or any(kind.partition(";")[0].endswith(("/json", "+json", "*/*")) for kind in kinds):
        return False
    return _FORM in kinds


def _operation(document: Any, wanted: str) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    paths = document.get("paths") if isinstance(document, dict) else None
    for path, written in (paths or {}).items():
        item = _inside_or_itself(document, written)
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict) and operation.get("operationId") == wanted:
                return method, path, item, operation
    raise _refused(f"the OpenAPI document has no operation '{wanted}'")


def _parameters(document: Any, *levels: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The parameters of a path and of an operation; those of the operation override."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for written in (parameter for level in levels for parameter in level.get("parameters", [])):
        parameter = _inside_or_itself(document, written)
        if not isinstance(parameter, dict) or "name" not in parameter or "in" not in parameter:
            raise _refused("a parameter of the operation has no name or no place")
        found[parameter["name"], parameter["in"]] = parameter
    return found.values()


def _inside_or_itself(document: Any, written: dict[str, Any]) -> Any:
    reference = written.get("$ref")
    return written if reference is None else _inside(document, reference)


def _inside(document: Any, reference: str) -> Any:
    """The target of a reference inside the document; other references are refused."""
    if not reference.startswith("#/"):
        raise _refused(f"'{reference}' leads out of the OpenAPI document")
    for key in pointers.read(reference[1:]):
        if not isinstance(document, dict) or key not in document:
            raise _refused(f"'{reference}' leads nowhere in the OpenAPI document")
        document = document[key]
    return document


def _server(
    document: dict[str, Any], item: dict[str, Any], operation: dict[str, Any], base: str | None
) -> str:
    if "swagger" in document:
        host = document.get("host") or (urlsplit(base).netloc if base else "")
        schemes = document.get("schemes") or [urlsplit(base).scheme if base else "https"]
        server = f"{schemes[0]}://{host}{document.get('basePath', '')}"
    else:
        servers = operation.get("servers") or item.get("servers") or document.get("servers")
        chosen = (servers or [{"url": "/"}])[0]
        server = chosen["url"]
        for name, variable in chosen.get("variables", {}).items():
            server = server.replace(f"{{{name}}}", variable["default"])
    server = urljoin(base, server) if base else server
    if not urlsplit(server).netloc:
        raise _refused("the OpenAPI document does not say where its server is")
    return server


def _refused(detail: str) -> Fault:
    return standard("configuration", detail)
