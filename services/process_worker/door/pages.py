"""Pages of Temporal's lists: as long as the caller asked, or as an answer has room for."""

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
    Read a page of at most `size` items, and the token of the next one.

    If they do not fit in an answer, fewer are read again: only Temporal can make the token after them.
    """
    while True:
        items, following = await read(size)
        fits = _fitting(items)
        if fits == len(items):
            return items, following
        size = fits


def _fitting(items: Sequence[T]) -> int:
    """The number of items that fit; the first one always does. JSON is never shorter than the message."""
    room = Room(PAGE_BYTES)
    sizes = (len(orjson.dumps(item, default=str)) for item in items)
    return next((count for count, size in enumerate(sizes) if not room.takes(size)), len(items))
