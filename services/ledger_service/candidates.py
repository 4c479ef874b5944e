"""Candidates: the items that a list reads, in order, until a page is full."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from refinery_core.pages import Room
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Vibe

T = TypeVar("T")

WHOLE_AT_ONCE = 16
"""Whole Vibes read at once: at most 3 MiB each."""
LEFT_OUT_AT_ONCE = 128
"""Candidates, at most, among which so many whole Vibes are looked for."""
MOST_LEFT_OUT = 10_000
"""A page ends after so many candidates that do not match, however short it is."""

Key = Sequence[Any]
"""The last key of the candidates that were read: the list goes on after it."""
Candidate = tuple[Key, T | None]
"""An item of a list under its key; None where the filter leaves it out."""


class Sized(Protocol):
    """A message, which knows its size."""

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        """The number of bytes that it takes."""


M = TypeVar("M", bound=Sized)


async def in_chunks(
    read: Callable[[Key, int], Awaitable[list[Candidate[T]]]], key: Key, size: int, most: int
) -> AsyncGenerator[Candidate[T], None]:
    """
    All candidates after a key, `size` read at first, then twice as many, up to `most` at once.

    `read` gives fewer than it is asked for only where there are no more.
    """
    size = min(size, most)
    while True:
        candidates = await read(key, size)
        for candidate in candidates:
            yield candidate
        if len(candidates) < size:
            return
        key, _ = candidates[-1]
        size = min(2 * size, most)


async def whole(
    vibes: Vibes, candidates: AsyncGenerator[Candidate[Vibe], None]
) -> AsyncGenerator[Candidate[Vibe], None]:
    """The same candidates with their documents, of which some are read at once; what is left out has none."""
    some: list[Candidate[Vibe]] = []
    wanted = 0
    async with aclosing(candidates):
        async for candidate in candidates:
            some.append(candidate)
            wanted += candidate[1] is not None
            if wanted == WHOLE_AT_ONCE or len(some) == LEFT_OUT_AT_ONCE:
                for one in await _with_documents(vibes, some):
                    yield one
                some, wanted = [], 0
    for one in await _with_documents(vibes, some):
        yield one


async def _with_documents(vibes: Vibes, some: list[Candidate[Vibe]]) -> list[Candidate[Vibe]]:
    found = await vibes.by_names([vibe.ref for _, vibe in some if vibe])
    return [(key, vibe and found[vibe.ref]) for key, vibe in some]


async def filled(
    candidates: AsyncGenerator[Candidate[T], None], size: int, write: Callable[[T], M]
) -> tuple[tuple[M, ...], Key | None]:
    """The items of a page of so many, written, and the key that it ends at if there may be more."""
    items: list[M] = []
    room, left_out = Room(), 0
    last: Key | None = None
    async with aclosing(candidates):
        async for key, one in candidates:
            if one is None:
                left_out += 1
                if left_out > MOST_LEFT_OUT:
                    return tuple(items), key
            else:
                message = write(one)
                if len(items) == size or not room.takes(message.ByteSize()):
                    return tuple(items), last
                items.append(message)
            last = key
    return tuple(items), None
