"""Pages of what Temporal lists: as long as they were asked for, unless an answer has less room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import orjson

PAGE_BYTES: Final = 3 << 20
"""After so much a page ends; a message takes 4 MiB."""

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
    room = PAGE_BYTES
    for count, item in enumerate(items):
        room -= len(orjson.dumps(item, default=str))
        if count and room < 0:
            return count
    return len(items)
