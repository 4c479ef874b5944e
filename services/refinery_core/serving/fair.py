"""Serves callers in turn, so that a caller with many requests delays only its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue that serves callers in turn, and each caller in the order in which it came."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, caller: str, item: T) -> None:
        """Add an item at the end of its caller's line."""
        self._callers.setdefault(caller, deque()).append(item)
        self._length += 1

    def peek(self) -> T:
        """The item whose turn it is; the queue must not be empty."""
        return next(iter(self._callers.values()))[0]

    def take(self) -> T:
        """Remove the item whose turn it is; its caller goes to the end."""
        caller, line = next(iter(self._callers.items()))
        item = line.popleft()
        self._length -= 1
        if line:
            self._callers.move_to_end(caller)
        else:
            del self._callers[caller]
        return item


class Turns:
    """Lets a bounded number work at once; the callers who wait are let in in turn."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it inside."""
        if self._free:
            self._free -= 1
        else:
            granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put(caller, granted)
            try:
                await granted
            except asyncio.CancelledError:
                if granted.done() and not granted.cancelled():
                    self._give_on()
                raise
        try:
            yield
        finally:
            self._give_on()

    def _give_on(self) -> None:
        while self._waiting:
            granted = self._waiting.take()
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1
