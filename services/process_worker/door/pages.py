"""Pages of what Temporal lists: as long as they were asked for, unless an answer has less room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import orjson

from refinery_core.pages import PAGE_BYTES, Room

T = TypeVar("T")


async def fitting(
    read: Callable[[int], Awaitable[tuple[Sequence[T], bytes | None]]], size: int
) -> tuple[Sequence[T], bytes | None]:
    """
    Read a page of at most so many, and the token of the next one.

    Where they do not fit, fewer are read: only Temporal can say where what follows them begins.
    """
    while True:
        items, following = await read(size)
        fits = _fitting(items)
        if fits == len(items):
            return items, following
        size = fits


def _fitting(items: Sequence[T]) -> int:
    """How many fit; the first one always does. JSON is never shorter than the message."""
    room = Room(PAGE_BYTES)
    sizes = (len(orjson.dumps(item, default=str)) for item in items)
    return next((count for count, size in enumerate(sizes) if not room.takes(size)), len(items))
