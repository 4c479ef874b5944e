"""Sources of key sets: a file, or an http(s) URL."""

from __future__ import annotations

import asyncio
import http.client
import io
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from refinery_core.addresses import is_loopback
from refinery_core.serving.authentication.keys import MAX_BYTES, BadKeys
from refinery_core.settings import CannotStart, content_of

GLANCE_SECONDS: Final = 1.0
"""Between two looks at a file."""
SECONDS: Final = 10.0
"""For an answer, all of it."""
_MAX_ANSWER: Final = MAX_BYTES + (64 << 10)


class Source(Protocol):
    """Gives the bytes of a key set."""

    @property
    def where(self) -> str:
        """The place, as the setting says it."""

    @property
    def every_seconds(self) -> float:
        """Seconds between two looks."""

    async def read(self) -> bytes | None:
        """
        Give what is there now; None where it is surely what was given before.

        Raises:
            BadKeys: it cannot be read.
        """


@dataclass
class FileSource:
    """A file, which is read again when it has changed."""

    where: str
    _seen: tuple[int, ...] = field(default=(), init=False)

    @property
    def every_seconds(self) -> float:
        """Seconds between two looks."""
        return GLANCE_SECONDS

    async def read(self) -> bytes | None:
        """Read it, if it has changed."""
        try:
            return self._changed()
        except OSError as fault:
            self._seen = ()
            raise BadKeys(f"it cannot be read: {fault.strerror}") from fault

    def _changed(self) -> bytes | None:
        path = Path(self.where)
        found = path.stat()
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return None
        content = path.read_bytes()
        self._seen = seen
        return content


@dataclass
class UrlSource:
    """
    A URL, which is fetched again and again. Redirects are not followed, and proxies not asked.

    http is for loopback alone: an impostor in the place of the issuer would make tokens for everybody.
    """

    where: str
    every_seconds: float
    tls: ssl.SSLContext | None

    async def read(self) -> bytes | None:
        """Fetch it."""
        try:
            async with asyncio.timeout(SECONDS):
                status, content = await _get(urlsplit(self.where), self.tls)
        except TimeoutError:
            raise BadKeys(f"it did not answer in {SECONDS:g} seconds") from None
        except (OSError, ValueError, http.client.HTTPException) as fault:
            raise BadKeys(f"it cannot be fetched: {str(fault) or type(fault).__name__}") from fault
        if status != http.HTTPStatus.OK:
            raise BadKeys(f"it answered with status {status}")
        return content


async def _get(url: SplitResult, tls: ssl.SSLContext | None) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(
        url.hostname, url.port or (443 if tls else 80), ssl=tls, limit=_MAX_ANSWER
    )
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        host = url.netloc.rpartition("@")[2]
        head = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii"))
        answer = bytearray()
        while part := await reader.read(64 << 10):
            answer += part
            if len(answer) > _MAX_ANSWER:
                raise http.client.HTTPException("it is too large")
    finally:
        writer.close()
    # All of it is there; only its form is still to be read.
    response = http.client.HTTPResponse(_Answered(bytes(answer)))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


class _Answered:
    """The one thing that HTTPResponse asks of a socket."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._answer)


def source_of(where: str, *, every_seconds: float, ca: str | None) -> Source:
    """
    Read a setting: the path of a file, or a URL.

    Raises:
        CannotStart: it can be neither, or would be fetched in the clear from another machine.
    """
    if "://" not in where:
        content_of(where)
        return FileSource(where)
    try:
        url = urlsplit(where)
        fit = (
            url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and url.username is None
        )
    except ValueError:
        fit = False
    if not fit or not where.isascii() or not where.isprintable() or " " in where:
        raise CannotStart("REFINERY_JWT_JWKS has to be the path of a file, or an https URL without a login.")
    if url.scheme == "http":
        if not is_loopback(url.hostname or ""):
            raise CannotStart(
                "REFINERY_JWT_JWKS is fetched by http: an impostor in its place could make any token. "
                "Name it by https, or as a file."
            )
        return UrlSource(where, every_seconds, None)
    return UrlSource(where, every_seconds, _trusting(ca))


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        authorities = None if ca is None else content_of(ca).decode("ascii", errors="ignore")
        return ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise CannotStart(f"{ca} holds no certificates in PEM.") from None
