"""The Role in whose name a principal reads that carries executions out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from refinery_core.wire import READS_AS_KEY

_role: ContextVar[str] = ContextVar("reads_as", default="")


@contextmanager
def reading_as(role_id: str) -> Iterator[None]:
    """Let the calls in this block read what the Role of an id may read now, and nothing else."""
    before = _role.set(role_id)
    try:
        yield
    finally:
        _role.reset(before)


def reads_as() -> tuple[tuple[str, str], ...]:
    """The metadata of a call."""
    return ((READS_AS_KEY, _role.get()),) if _role.get() else ()
