"""The caller: the principal that is recorded, and the groups that a token gives it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc

ANONYMOUS = "anonymous"
"""The principal while authentication is off."""


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Somebody who calls.

    `principal` is at most 512 bytes: `spiffe://…`, `x509:<name>`, `jwt:<iss>#<sub>` or `anonymous`.
    `groups` are those of its token, each `group:<iss>#<name>`. `authenticated` is False only where
    REFINERY_AUTH is `none`: then no right is asked for. `reads_as` is the id of the Role in whose name
    it wants to read, which is for whoever carries executions out.
    """

    principal: str = ANONYMOUS
    groups: tuple[str, ...] = ()
    authenticated: bool = False
    reads_as: str = ""


NOBODY_IN_PARTICULAR = Caller()

_caller: ContextVar[Caller] = ContextVar("caller", default=NOBODY_IN_PARTICULAR)


def current_caller() -> Caller:
    """The caller of the call that is being served."""
    return _caller.get()


def current_principal() -> str:
    """The principal of the call that is being served: recorded with every refinement."""
    return _caller.get().principal


def set_caller(caller: Caller) -> None:
    """Set who made this call; each call is a task, so only this call sees it."""
    _caller.set(caller)


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Name the caller, so that callers can be served in turn: the principal, or else the connection."""
    principal = current_principal()
    return context.peer() if principal == ANONYMOUS else principal
