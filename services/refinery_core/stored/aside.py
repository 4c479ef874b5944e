"""Moves work on large schemas and documents to a thread, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE: Final = 32 << 10
"""Bytes of JSON from which work on it is done in a thread."""


async def aside(size: int, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Do work on so many bytes, in a thread if they are many."""
    if size < LARGE:
        return work(*arguments, **keywords)
    return await asyncio.to_thread(work, *arguments, **keywords)
