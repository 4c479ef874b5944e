"""Tokens of OAuth 2: requested from an authority, and cached until they are about to expire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from process_worker.activities.outside.exchange import Asked, Reply
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.http import form
from process_worker.engine.faults import Fault, standard

_KEPT: Final = 256
_SPARE_SECONDS: Final = 30.0
"""The seconds before its expiry in which a token is no longer used."""
_DISCOVERY: Final = "/.well-known/openid-configuration"
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = ""
    until: float = 0.0


@dataclass(frozen=True)
class Tokens:
    """The cached tokens of this worker. The key of one is everything that it was requested with."""

    gateway: Gateway
    _kept: OrderedDict[bytes, _Kept] = field(default_factory=OrderedDict)

    async def get(self, scheme: str, fields: Mapping[str, str]) -> str:
        """
        A valid token. `scheme` is `oauth2` or `oidc`; `fields` are its members by their paths.

        Raises:
            Fault: the authority gives none, does not answer, or is not allowed.
        """
        key = hashlib.sha256(orjson.dumps([scheme, dict(fields)], option=orjson.OPT_SORT_KEYS)).digest()
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        async with kept.lock:  # Concurrent calls request it once.
            if time.monotonic() >= kept.until:
                kept.token, seconds = await self._ask(scheme, fields)
                kept.until = time.monotonic() + seconds - _SPARE_SECONDS
            return kept.token

    def forget(self, token: str) -> None:
        """Forget a token that was refused."""
        for kept in self._kept.values():
            if kept.token == token:
                kept.until = 0.0

    async def _ask(self, scheme: str, fields: Mapping[str, str]) -> tuple[str, float]:
        uri = await self._endpoint(scheme, fields)
        reply = await self.gateway.send(_request(uri, fields))
        answer = _answer(uri, reply)
        token, expires = answer.get("access_token"), answer.get("expires_in", 0)
        kind = str(answer.get("token_type", "Bearer")).lower()
        if not isinstance(token, str) or not token.isprintable() or kind != "bearer":
            raise _no_token(uri, "it answered without a bearer token", 502)
        return token, float(expires) if isinstance(expires, int | float) else 0.0

    async def _endpoint(self, scheme: str, fields: Mapping[str, str]) -> str:
        authority = _field(fields, "authority").rstrip("/")
        if scheme == "oauth2":
            return f"{authority}/{fields.get('endpoints.token', '/oauth2/token').lstrip('/')}"
        uri = authority if authority.endswith(_DISCOVERY) else authority + _DISCOVERY
        found = _answer(uri, await self.gateway.send(Asked("GET", uri))).get("token_endpoint")
        if not isinstance(found, str):
            raise _no_token(uri, "it does not say where tokens are given", 502)
        return found


def _request(uri: str, fields: Mapping[str, str]) -> Asked:
    asked: dict[str, Any] = {"grant_type": _field(fields, "grant")}
    headers = {"Accept": _JSON}
    if scopes := _list(fields, "scopes"):
        asked["scope"] = " ".join(scopes)
    if audiences := _list(fields, "audiences"):
        asked["audience"] = audiences if len(audiences) > 1 else audiences[0]
    if asked["grant_type"] == "password":
        asked |= {name: _field(fields, name) for name in ("username", "password")}
    method = fields.get("client.authentication", "client_secret_post")
    if method == "client_secret_basic":
        pair = ":".join(quote(_field(fields, f"client.{name}"), safe="") for name in ("id", "secret"))
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif method == "client_secret_post":
        asked |= {f"client_{name}": _field(fields, f"client.{name}") for name in ("id", "secret")}
    elif method != "none":  # Only a secret can have this value: the checker refuses it in a process.
        raise standard("authentication", f"clients that prove themselves by '{method}' are not supported")
    elif "client.id" in fields:
        asked["client_id"] = fields["client.id"]
    headers["Content-Type"] = fields.get("request.encoding", _FORM)
    content = orjson.dumps(asked) if headers["Content-Type"] == _JSON else form(asked).encode()
    return Asked("POST", uri, headers, content)


def _answer(uri: str, reply: Reply) -> dict[str, Any]:
    try:
        answer = orjson.loads(reply.content)
    except ValueError:
        answer = None
    found: dict[str, Any] = answer if isinstance(answer, dict) else {}
    if reply.status == 200 and found:
        return found
    why = found.get("error")
    said = f" ({why})" if isinstance(why, str) and why.isidentifier() else ""
    if 400 <= reply.status < 500:
        raise _no_token(uri, f"it answered with {reply.status}{said}", 401)
    raise _no_token(uri, f"it answered with {reply.status}{said}", 503)


def _field(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise standard("authentication", f"the authentication lacks '{name}'")
    return fields[name]


def _list(fields: Mapping[str, str], name: str) -> list[str]:
    return [value for path, value in fields.items() if path.startswith(f"{name}.")]


def _no_token(uri: str, why: str, status: int) -> Fault:
    kind = "authentication" if status == 401 else "communication"
    return standard(kind, f"{urlsplit(uri).hostname} gives no token: {why}", status=status)
