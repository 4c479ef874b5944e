"""Reads endpoints and resources."""

from __future__ import annotations

import re

from refinery_core.process.authentications import read_authentication
from refinery_core.process.parts import Endpoint, Expression, ReferenceUse
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Stage
from refinery_core.texts import cut
from refinery_core.vibe.refs import SCHEME, AugUri

_IS_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\"<>\\^`]+").fullmatch
_IS_HTTP = re.compile(r"https?://[^/?#\s]+[^\s]*", re.IGNORECASE).fullmatch
_IS_VARIABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*").fullmatch


def read_endpoint(place: Place, reading: Reading, scope: Scope) -> Endpoint:
    """Read an endpoint in its short or its long form."""
    if not isinstance(place.value, dict):
        return Endpoint(_http_uri(place, "an endpoint", reading, scope))
    members = place.members("an endpoint", ("uri", "authentication"), ("uri",))
    uri = _http_uri(members["uri"], "an endpoint", reading, scope)
    return Endpoint(uri, read_authentication(members.get("authentication"), reading, scope))


def read_document(place: Place, what: str, reading: Reading, scope: Scope) -> Endpoint | AugUri:
    """Read a resource: a document on the web, or the solution of a Vibe."""
    endpoint = place.members(what, ("name", "endpoint"), ("endpoint",))["endpoint"]
    uri = endpoint.at("uri") if isinstance(endpoint.value, dict) and "uri" in endpoint.value else endpoint
    if isinstance(uri.value, str) and uri.value.startswith(SCHEME):
        if uri is not endpoint:
            endpoint.members("a reference to a Vibe", ("uri",))
        return reading.reference(uri, what, ReferenceUse.DOCUMENT)
    return read_endpoint(endpoint, reading, scope)


def read_uri(place: Place, what: str, reading: Reading, scope: Scope) -> str | Expression:
    """Read a URI of any scheme, or an expression that gives one."""
    text = reading.text(place, what, scope, Stage.INSIDE)
    if isinstance(text, str) and not _IS_URI(text):
        place.refuse(f"{what} needs to be a URI with a scheme, not '{cut(text)}'")
    return text


def _http_uri(place: Place, what: str, reading: Reading, scope: Scope) -> str | Expression:
    text = reading.text(place, what, scope, Stage.INSIDE)
    if isinstance(text, str):
        if not _IS_HTTP(text):
            place.refuse(f"{what} needs to be an http or https URI with a host, not '{cut(text)}'")
        _check_variables(place, text)
    return text


def _check_variables(place: Place, template: str) -> None:
    for part in re.split(r"\{([^{}]*)\}", template)[::2]:
        if "{" in part or "}" in part:
            place.refuse("a '{' or '}' in a URI has no partner; a variable is written {name}")
    for name in re.findall(r"\{([^{}]*)\}", template):
        if not _IS_VARIABLE(name):
            place.refuse(f"'{{{cut(name)}}}' is no variable of a URI; only simple ones such as {{name}} are")
