"""A network between the ledger and its database that can fall silent, go deaf, or break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """Forwards TCP connections to the Unix socket of a PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Take the address of the database behind it."""
        self._url = urlsplit(url)
        self.lead_to(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._connections: set[_Connection] = set()
        self._silent = False

    def lead_to(self, url: str) -> None:
        """Forward new connections to another server."""
        query = parse_qs(urlsplit(url).query)
        self._socket = Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"

    @property
    def url(self) -> str:
        """The address of the database, through the proxy."""
        return f"postgresql://{self._url.username}@127.0.0.1:{self._port}{self._url.path}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        await self.open()
        try:
            yield
        finally:
            await self.close()

    async def open(self) -> None:
        """Take connections, at the same port as ever."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections, and break those there are."""
        assert self._server is not None
        self._server.close()
        self.break_all()
        await self._server.wait_closed()

    def break_all(self) -> None:
        for connection in set(self._connections):
            connection.abort()

    def silence(self, *, new_ones_too: bool = True) -> None:
        """Forward nothing more, on old and new connections, without an error."""
        self._silent = new_ones_too
        for connection in self._connections:
            connection.speaking.clear()

    def speak(self) -> None:
        """Forward again, first the bytes that were held back."""
        self._silent = False
        for connection in self._connections:
            connection.speaking.set()

    def deafen(self) -> None:
        """Forward questions, and lose the answers."""
        for connection in self._connections:
            connection.deaf = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, server_writer)
        if self._silent:
            connection.speaking.clear()
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.forward(reader, server_writer))
                group.create_task(connection.forward(server_reader, writer, answers=True))
        finally:
            self._connections.discard(connection)
            connection.abort()


class _Connection:
    """One connection, both ways."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.deaf = False
        self.speaking = asyncio.Event()
        self.speaking.set()

    async def forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(1 << 16):
                await self.speaking.wait()
                if not (answers and self.deaf):
                    writer.write(part)
                    await writer.drain()
        self.abort()

    def abort(self) -> None:
        self.speaking.set()
        for writer in self._writers:
            writer.transport.abort()
