"""A web server on loopback whose answers are scripted, path by path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

REASONS = {200: "OK", 302: "Found", 404: "Not Found", 500: "Error", 503: "Unavailable"}


@dataclass
class Web:
    """
    Its answers, and its requests. The last answer of a path is repeated for ever.

    An answer is a status and its content; of a redirect, the content is where it leads.
    """

    base: str = ""
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    delay: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    """The delays of single paths."""
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client hangs up before the answer."""

    def script(self, answers: Mapping[str, Sequence[tuple[int, Any]]]) -> None:
        """Answer so."""
        self.answers.update({path: list(script) for path, script in answers.items()})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = head[0].split()
            self.methods.append(method)
            self.asked.append(path)
            self.headers.append(headers)
            self.bodies.append(body)
            if await self._hangs_up(reader, self.slow.get(path, self.delay)):
                self.abandoned.set()
                return
            script = self.answers.get(path.partition("?")[0], [(404, None)])
            status, content = script.pop(0) if len(script) > 1 else script[0]
            writer.write(_answer(status, content))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _hangs_up(self, reader: asyncio.StreamReader, delay: float) -> bool:
        try:
            await asyncio.wait_for(reader.read(), delay)
        except TimeoutError:
            return False
        return True


def _answer(status: int, content: Any) -> bytes:
    moved = 300 <= status < 400
    if isinstance(content, bytes):
        kind, body = "application/octet-stream", content
    else:
        kind, body = "application/json", b"" if content is None or moved else orjson.dumps(content)
    head = [f"HTTP/1.1 {status} {REASONS.get(status, 'Odd')}", f"Content-Type: {kind}", "Connection: close"]
    head += [f"Location: {content}"] if moved and content else []
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


@asynccontextmanager
async def web() -> AsyncIterator[Web]:
    """Serve until the block is left."""
    served = Web()
    server = await asyncio.start_server(served._serve, "127.0.0.1", 0)
    served.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield served
