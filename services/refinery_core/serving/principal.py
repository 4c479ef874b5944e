"""Who is calling, as the transport knows it."""

from __future__ import annotations

from contextvars import ContextVar

ANONYMOUS = "anonymous"
"""The principal while authentication is off."""

_principal: ContextVar[str] = ContextVar("principal", default=ANONYMOUS)


def current_principal() -> str:
    """Say who made the call that is being served: recorded with every refinement."""
    return _principal.get()


def set_principal(name: str) -> None:
    """Record who made this call; each call is a task, so it is seen by this call alone."""
    _principal.set(name)
