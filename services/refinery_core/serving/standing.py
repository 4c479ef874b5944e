"""A gRPC server that is made again whenever grpcio lets it fall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import structlog

_GLANCE_SECONDS: Final = 0.1

_log = structlog.get_logger("refinery.server")


class Standing:
    """
    One server on one port, for as long as it is wanted.

    grpcio 1.85 reads the name of a method as UTF-8 in the loop that takes calls in. A name that is none ends
    that loop, and with it the server, for everybody: it hears no more, and says so nowhere but in its log.
    """

    def __init__(self, make: Callable[[str], tuple[grpc.aio.Server, int]], listen: str) -> None:
        """Make it; `make` is given where to listen, and gives the server and its port."""
        self._make = make
        self._server, self.port = make(listen)
        host, colon, port = listen.rpartition(":")
        self._listen = f"{host}:{self.port}" if colon and port == "0" else listen

    async def start(self) -> None:
        """Take calls."""
        await self._server.start()

    async def serve_until(self, end: Coroutine[Any, Any, object]) -> None:
        """Serve until an end. When the server falls, its calls are lost, and another one takes its place."""
        ending = asyncio.ensure_future(end)
        try:
            while not ending.done():
                await asyncio.wait((ending,), timeout=_GLANCE_SECONDS)
                if not self._server._server.is_running():  # type: ignore[attr-defined]  # noqa: SLF001 -- nothing else tells
                    _log.error("the server fell and is started again", port=self.port)
                    await self._server.stop(None)
                    self._server, _ = self._make(self._listen)
                    await self._server.start()
        finally:
            ending.cancel()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Serve for as long as the block does, and then cut what still runs."""
        await self.start()
        serving = asyncio.create_task(self.serve_until(asyncio.Event().wait()))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.wait((serving,))
            await self.stop(0)

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, and wait for those that run; what still runs after the grace is cancelled."""
        await self._server.stop(grace_seconds)
