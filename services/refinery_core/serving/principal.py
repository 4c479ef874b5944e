"""Who is calling, as the transport knows it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import grpc

ANONYMOUS = "anonymous"
"""The principal while authentication is off."""

_principal: ContextVar[str] = ContextVar("principal", default=ANONYMOUS)


def current_principal() -> str:
    """Say who made the call that is being served: recorded with every refinement."""
    return _principal.get()


def set_principal(name: str) -> None:
    """Record who made this call; each call is a task, so it is seen by this call alone."""
    _principal.set(name)


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Name the caller, so that callers can be served in turn: the principal, or else the connection."""
    principal = current_principal()
    return context.peer() if principal == ANONYMOUS else principal
