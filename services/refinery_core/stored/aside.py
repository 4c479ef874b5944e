"""Where work on large schemas and documents is done: beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE: Final = 32 << 10
"""Bytes of JSON above which it leaves the event loop for a thread."""


async def aside(size: int, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Do work on so many bytes."""
    if size < LARGE:
        return work(*arguments, **keywords)
    return await asyncio.to_thread(work, *arguments, **keywords)
