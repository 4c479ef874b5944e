"""Coroutines at the same time, in an order that a replay repeats: asyncio's sets of tasks have none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self


def is_cancelled() -> bool:
    """Whether the running task was cancelled, even if the work that it waited for did not notice."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Together:
    """Coroutines that run at the same time; leaving the block cancels those that still run."""

    def __init__(self, coroutines: Sequence[Coroutine[Any, Any, Any]]) -> None:
        self._coroutines = coroutines
        self._tasks: list[asyncio.Task[Any]] = []
        self._done: list[int] = []
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        for index, coroutine in enumerate(self._coroutines):
            task = asyncio.get_running_loop().create_task(coroutine)
            task.add_done_callback(partial(self._note, index))
            self._tasks.append(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            # One at a time: this waits without raising what the task raised.
            while not task.done():
                await asyncio.wait((task,))

    async def next(self) -> int:
        """Wait until one more is done, and return its index."""
        while not self._done:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._done.pop(0)

    def result(self, index: int) -> Any:
        """The result of one that is done; raises what it raised."""
        return self._tasks[index].result()

    def _note(self, index: int, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # Otherwise asyncio logs an exception that was not retrieved.
        self._done.append(index)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
