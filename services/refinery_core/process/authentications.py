"""Reads authentications: by a name in `use`, by a secret, or written out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from refinery_core.process.parts import Authentication, Template
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Stage
from refinery_core.texts import cut

GRANTS: Final = ("client_credentials", "password")
CLIENT_METHODS: Final = ("client_secret_post", "client_secret_basic", "none")
ENCODINGS: Final = ("application/x-www-form-urlencoded", "application/json")

_VALUES: Final = {"basic": ("username", "password"), "bearer": ("token",)}
_OIDC: Final = (*("authority", "grant", "client", "request", "scopes", "audiences", "username", "password"),)
_OBJECTS: Final = ("client", "request", "endpoints")
_LISTS: Final = ("scopes", "audiences")
_TOKENS: Final = {"oauth2": (*_OIDC, "endpoints"), "oidc": _OIDC}
_SCHEMES: Final = (*_VALUES, *_TOKENS)
_UNSUPPORTED: Final = ("digest", "certificate")
_IS_AUTHORITY: Final = re.compile(r"https?://[^/?#\s{}]+[^?#\s{}]*", re.IGNORECASE).fullmatch


def read_authentication(place: Place | None, reading: Reading, scope: Scope) -> Authentication | None:
    """Read an authentication."""
    if place is None:
        return None
    scheme = place.one_of("an authentication", ("use", *_SCHEMES, *_UNSUPPORTED))
    inside = place.at(scheme)
    if scheme == "use":
        known = reading.shared.authentications
        return known[inside.named("authentication", known, "use.authentications")]
    if scheme in _UNSUPPORTED:
        inside.refuse(f"authentication by {scheme} is not supported; {', '.join(_SCHEMES)} are")
    what = f"{scheme} authentication"
    if isinstance(inside.value, dict) and "use" in inside.value:
        members = inside.members(what, ("use",))
        secret = members["use"].named("secret", reading.shared.secrets, "use.secrets")
        return Authentication(scheme, secret=secret)
    if scheme in _TOKENS:
        members = _token_members(inside, what, _TOKENS[scheme])
    else:
        members = inside.members(what, _VALUES[scheme], _VALUES[scheme])
    texts = {
        path: reading.text(text, f"'{path}'", scope, Stage.AUTHENTICATION) for path, text in _leaves(members)
    }
    return Authentication(
        scheme, values=Template(texts, all(isinstance(text, str) for text in texts.values()))
    )


def _token_members(place: Place, what: str, known: tuple[str, ...]) -> dict[str, Place]:
    members = place.members(what, known, ("authority", "grant"))
    authority = members["authority"].text("an authority")
    if "${" not in authority and not _IS_AUTHORITY(authority):
        members["authority"].refuse(f"an authority needs to be an http or https URI, not '{cut(authority)}'")
    if members["grant"].choice("'grant'", GRANTS) == "password":
        place.members(what, known, ("username", "password"))
    _check_client(members.get("client", Place({}, place.path)))
    if "request" in members:
        encoding = members["request"].members("a request", ("encoding",), ("encoding",))["encoding"]
        encoding.choice("'encoding'", ENCODINGS)
    if "endpoints" in members:
        members["endpoints"].members("'endpoints'", ("token", "revocation", "introspection"))
    return members


def _check_client(place: Place) -> None:
    members = place.members("a client", ("id", "secret", "authentication"))
    method = CLIENT_METHODS[0]
    if "authentication" in members:
        method = members["authentication"].choice("'authentication'", CLIENT_METHODS)
    if method != "none" and not members.keys() >= {"id", "secret"}:
        place.refuse(f"a client with the authentication '{method}' needs 'id' and 'secret'")


def _leaves(members: dict[str, Place]) -> Iterator[tuple[str, Place]]:
    """The texts of an authentication by their paths: `token`, `client.id`, `scopes.0`."""
    for name, place in members.items():
        if name in _OBJECTS:
            yield from ((f"{name}.{key}", text) for key, text in place.pairs(name).items())
        elif name in _LISTS:
            yield from ((f"{name}.{at}", text) for at, text in enumerate(place.items(f"'{name}'")))
        else:
            yield name, place
