"""Drain: how a server that is asked to stop lets its streams end politely."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from refinery_core.errors import Draining

T = TypeVar("T")

STREAM_AGE_SECONDS: Final = 300.0
"""The lifetime of a stream without end, a tenth more or less: that of a connection, which it keeps."""


class Drain:
    """
    Two moments: somebody asked the server to stop, and the streams are to end now.

    Between them the server tells health checks, so that callers go elsewhere first. Servicers
    only watch the second moment.
    """

    def __init__(self, *, stream_age_seconds: float = STREAM_AGE_SECONDS) -> None:
        self._asked = asyncio.Event()
        self._begun = asyncio.Event()
        self._stream_age_seconds = stream_age_seconds
        self._streams = set[Drain]()

    def ask(self) -> None:
        """Ask the server to stop. Asking twice is asking once."""
        self._asked.set()

    def begin(self) -> None:
        """End the streams. The server does it; a test of a servicer may."""
        self._asked.set()
        self._begun.set()
        for stream in self._streams:
            stream.begin()

    @contextmanager
    def of_stream(self) -> Iterator[Drain]:
        """
        Give the drain of one stream that has no end of its own: it begins with this one, or at its age.

        Without, a client that only watches would never look for other servers. Ages differ, so that
        what came at one moment does not come again at one moment.
        """
        stream = Drain(stream_age_seconds=self._stream_age_seconds)
        age = self._stream_age_seconds * random.uniform(0.9, 1.1)  # noqa: S311 -- nothing secret about an age
        timer = asyncio.get_running_loop().call_later(age, stream.begin)
        self._streams.add(stream)
        if self.begun:
            stream.begin()
        try:
            yield stream
        finally:
            timer.cancel()
            self._streams.discard(stream)

    @property
    def begun(self) -> bool:
        """Whether streams are to end now."""
        return self._begun.is_set()

    async def asked(self) -> None:
        """Wait until somebody asks the server to stop."""
        await self._asked.wait()

    async def wait(self) -> None:
        """Wait until streams are to end."""
        await self._begun.wait()

    @asynccontextmanager
    async def cutting(self) -> AsyncIterator[None]:
        """
        Cut what is inside short at the drain. Unlike or_result(), it costs nothing for each step inside.

        Raises:
            Draining: the drain came before the end.
        """
        limit, inside = asyncio.timeout(None), True

        def cut(_: object) -> None:
            if inside:
                limit.reschedule(asyncio.get_running_loop().time())

        try:
            async with limit:
                drain = asyncio.ensure_future(self._begun.wait())
                drain.add_done_callback(cut)
                try:
                    yield
                finally:
                    inside = False
                    drain.cancel()
        except TimeoutError:
            if limit.expired():
                raise Draining from None
            raise

    async def or_result(self, awaited: Coroutine[Any, Any, T]) -> T:
        """
        Wait for a result, but not beyond the drain.

        Raises:
            Draining: the drain came first.
        """
        return await result_before(self._begun.wait(), awaited)


async def result_before(end: Coroutine[Any, Any, object], awaited: Coroutine[Any, Any, T]) -> T:
    """
    Wait for a result, but not beyond the end.

    What is awaited is cancelled when the end comes first, or when this is cancelled.

    Raises:
        Draining: the end came first.
    """
    work, ending = asyncio.ensure_future(awaited), asyncio.ensure_future(end)
    try:
        await asyncio.wait((work, ending), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Draining
    finally:
        ending.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
