"""Lets large requests in: a few at a time, callers in turn, and no more bytes than fit into the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from refinery_core.errors import Overloaded
from refinery_core.serving.fair import Turns

T = TypeVar("T")

LARGE_BYTES: Final = 64 << 10
"""From here on reading a request takes the event loop long enough for other calls to notice."""
LARGE_AT_ONCE: Final = 4
WAITING_BYTES: Final = 256 << 20
"""Of all requests with documents in this process; more are refused instead of filling the memory."""


class Entrance:
    """The way in of requests that bring documents."""

    def __init__(self) -> None:
        self._turns = Turns(LARGE_AT_ONCE)
        self._bytes = 0

    @asynccontextmanager
    async def let_in(self, size: int, caller: str, *, large: bool) -> AsyncIterator[None]:
        """
        Hold the room of a request of so many bytes inside, and, if it is large, a turn.

        Raises:
            Overloaded: there is no room.
        """
        if self._bytes + size > WAITING_BYTES:
            raise Overloaded(bound=f"{WAITING_BYTES >> 20} MiB of requests")
        self._bytes += size
        try:
            if large:
                async with self._turns.turn(caller):
                    yield
            else:
                yield
        finally:
            self._bytes -= size


async def read(work: Callable[[], T], *, large: bool) -> T:
    """Read a request: a large one beside the event loop."""
    return await asyncio.to_thread(work) if large else work()
