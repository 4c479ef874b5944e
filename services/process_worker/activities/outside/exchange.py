"""One HTTP request and its answer, on a connection of its own to an address that was checked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import h11

from refinery_core.vibe.documents import MAX_BYTES

_MAX_HEADERS: Final = 64 << 10
"""Bytes of all headers of an answer."""
_MOST: Final = 100
"""Headers of an answer, and interim answers before it."""
_READ: Final = 64 << 10
_WITH_CONTENT: Final = frozenset({"PATCH", "POST", "PUT"})
"""Methods whose requests have a Content-Length, even without content."""


@dataclass(frozen=True)
class Reply:
    """An answer. Names of headers are in lower case; `content` ends a byte after MAX_BYTES."""

    status: int
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True)
class Asked:
    """One request, with everything filled in."""

    method: str
    uri: str
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None


async def exchange(asked: Asked, address: str, port: int, tls: ssl.SSLContext | None) -> Reply:
    """
    Send a request to an address, and read the answer. The host is not resolved again.

    Cancelling closes the connection.

    Raises:
        OSError: the connection failed.
        h11.RemoteProtocolError: the answer is no HTTP, or has too many headers.
        h11.LocalProtocolError: the request has a character that requests cannot have.
        ValueError: likewise.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADERS)
    request, name = _request(connection, asked), urlsplit(asked.uri).hostname
    reader, writer = await asyncio.open_connection(
        address, port, ssl=tls, server_hostname=name if tls else None, flags=socket.AI_NUMERICHOST
    )
    try:
        writer.write(request)  # No drain: the server may answer before it has read everything.
        return await _reply(connection, reader)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _request(connection: h11.Connection, asked: Asked) -> bytes:
    parts = urlsplit(asked.uri)
    headers = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity"}
    known = {name.lower() for name in asked.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in known} | asked.headers
    if asked.content is not None or asked.method in _WITH_CONTENT:
        headers["Content-Length"] = str(len(asked.content or b""))
    request = h11.Request(
        method=asked.method,
        target=urlunsplit(("", "", parts.path or "/", parts.query, "")),
        headers=[(name.encode(), value.strip(" \t").encode("latin-1")) for name, value in headers.items()],
    )
    events: tuple[h11.Event, ...] = (request, h11.Data(data=asked.content or b""), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


async def _reply(connection: h11.Connection, reader: asyncio.StreamReader) -> Reply:
    for _ in range(_MOST + 1):
        head = await _event(connection, reader)
        if isinstance(head, h11.Response):
            break
    else:
        raise h11.RemoteProtocolError(f"there were more than {_MOST} interim answers")
    if len(head.headers) > _MOST or sum(len(n) + len(v) for n, v in head.headers) > _MAX_HEADERS:
        raise h11.RemoteProtocolError(f"its headers are more than {_MOST}, or {_MAX_HEADERS} bytes")
    content = bytearray()
    while len(content) <= MAX_BYTES and isinstance(data := await _event(connection, reader), h11.Data):
        content += data.data
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    return Reply(head.status_code, headers, bytes(content[: MAX_BYTES + 1]))


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        received = await reader.read(_READ)
        if not received and connection.their_state is h11.SEND_RESPONSE:
            raise h11.RemoteProtocolError("it closed the connection without an answer")
        connection.receive_data(received)
    return event
