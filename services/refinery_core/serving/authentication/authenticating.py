"""Authentication of calls, as the settings want it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc

from refinery_core.errors import Unauthenticated
from refinery_core.serving.authentication.certificates import certified
from refinery_core.serving.authentication.issuers import Issuer
from refinery_core.serving.authentication.keys import Ring
from refinery_core.serving.authentication.settings import (
    AuthenticationSettings,
    refuse_unused,
    token_rules,
)
from refinery_core.serving.authentication.sources import FileSource, source_of
from refinery_core.serving.authentication.tokens import Known, Tokens
from refinery_core.serving.principal import NOBODY_IN_PARTICULAR, Caller
from refinery_core.settings import CannotStart, from_environment

_KEY: Final = "authorization"
_SCHEME: Final = "bearer "
_SEND: Final = "send one as 'authorization: Bearer TOKEN'"
_CONNECT: Final = "connect with one that is trusted here"
_ANYBODY: Final = Known(NOBODY_IN_PARTICULAR)
UNKNOWN: Final = Caller("unknown")
"""The caller of a call that was refused before it was known who makes it, as logs have it."""


@dataclass(frozen=True)
class Authentication:
    """Says who makes a call. Without tokens and certificates everybody is anonymous."""

    tokens: Tokens | None = None
    certificates: bool = False
    issuers: tuple[Issuer, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether callers have to show who they are."""
        return self.certificates or self.tokens is not None

    @property
    def is_ready(self) -> bool:
        """Whether anybody could be let in: certificates are taken, or some issuer's keys are known."""
        return self.tokens is None or self.certificates or any(issuer.ring for issuer in self.issuers)

    def authenticate(self, context: grpc.aio.ServicerContext[Any, Any]) -> Known:
        """
        Give who makes a call. Where a token comes, it names the caller, and has to be good.

        Raises:
            Unauthenticated: nobody knows, and what to do about it.
        """
        if not self.is_on:
            return _ANYBODY
        if self.tokens is not None and (token := _bearer(context)) is not None:
            return self.tokens.verify(token)
        if self.certificates and (name := certified(context.auth_context())) is not None:
            return Known(Caller(name, authenticated=True))
        raise Unauthenticated(problem=self._wanted)

    @property
    def _wanted(self) -> str:
        if self.tokens is None:
            return f"no client certificate came; {_CONNECT}"
        if not self.certificates:
            return f"no token came; {_SEND}"
        return f"neither a client certificate nor a token came; {_SEND}"


OPEN: Final = Authentication()
"""Every caller is anonymous."""


def _bearer(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    found = [value for key, value in context.invocation_metadata() or () if key == _KEY]
    if not found:
        return None
    if len(found) > 1:
        raise Unauthenticated(problem="more than one 'authorization' came; send one")
    value = found[0]
    if not isinstance(value, str) or not value.lower().startswith(_SCHEME):
        raise Unauthenticated(problem="the 'authorization' is no bearer token; send 'Bearer' and a token")
    return value[len(_SCHEME) :].strip()


@asynccontextmanager
async def authenticating(settings: AuthenticationSettings | None = None) -> AsyncIterator[Authentication]:
    """
    Prepare authentication, by the settings of the environment, and follow the keys of issuers until the end.

    Raises:
        CannotStart: the settings would let in whom they should not, or cannot be followed.
    """
    settings = settings or from_environment(AuthenticationSettings)
    if "jwt" not in settings.ways:
        refuse_unused(settings)
        yield Authentication(certificates="tls" in settings.ways)
        return
    rules = token_rules(settings)
    issuers = tuple(_issuer(name, place, settings) for name, place in rules.issuers.items())
    following = [asyncio.create_task(issuer.follow()) for issuer in issuers]
    try:
        for issuer in issuers:
            await issuer.looked()
            if isinstance(issuer.source, FileSource) and issuer.problem is not None:
                raise CannotStart(f"REFINERY_JWT_JWKS: {issuer.source.where}: {issuer.problem}.")
        tokens = Tokens(issuers, rules.audiences, groups_claim=settings.jwt_groups_claim)
        yield Authentication(tokens, certificates="tls" in settings.ways, issuers=issuers)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def _issuer(name: str, place: str, settings: AuthenticationSettings) -> Issuer:
    source = source_of(place, every_seconds=settings.jwt_refresh_seconds, ca=settings.jwt_ca)
    return Issuer(name, source, Ring(old_seconds=settings.jwt_old_keys_seconds))
