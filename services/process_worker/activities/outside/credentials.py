"""Credentials: a header made of secrets, or of a token that an authority gives."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from process_worker.activities.outside.secrets import Secrets
from process_worker.activities.outside.tokens import Tokens
from process_worker.engine.calls import Authentication
from process_worker.engine.faults import Fault, standard

_HEADER: Final = "Authorization"
_UNAUTHENTICATED: Final = 401


@dataclass(frozen=True)
class Credentials:
    """The credentials that a worker can give."""

    secrets: Secrets
    tokens: Tokens

    async def headers(self, authentication: Authentication | None) -> dict[str, str]:
        """
        The header for an authentication.

        Raises:
            Fault: there is no such secret, it lacks a member, or the authority gives no token.
        """
        if authentication is None:
            return {}
        values, scheme = await self.secrets.values(authentication), authentication.scheme
        if scheme == "bearer":
            token = values.get("token") if isinstance(values, dict) else values
            return {_HEADER: f"Bearer {_text(token)}"}
        fields = _by_path(values) if isinstance(values, dict) else {}
        if scheme == "basic":
            pair = f"{_text(fields.get('username'))}:{_text(fields.get('password'))}"
            return {_HEADER: f"Basic {base64.b64encode(pair.encode()).decode()}"}
        texts = {path: _text(value) for path, value in fields.items()}
        return {_HEADER: f"Bearer {await self.tokens.get(scheme, texts)}"}

    @contextmanager
    def shown(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Use credentials in a call: a token that is refused with 401 is forgotten."""
        try:
            yield
        except Fault as fault:
            if fault.problem.status == _UNAUTHENTICATED:
                self.tokens.forget(headers.get(_HEADER, "").removeprefix("Bearer "))
            raise


def _by_path(values: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a JSON object by their paths, such as `client.id` and `scopes.0`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list):
            found |= {f"{name}.{path}": leaf for path, leaf in enumerate(value)}
        elif isinstance(value, dict):
            found |= {f"{name}.{path}": leaf for path, leaf in value.items()}
        else:
            found[name] = value
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise standard("authentication", "the authentication lacks what its scheme needs, as printable text")
    return value
