"""TLS in front of a server without: certificates of an authority of our own, and a proxy that ends TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and its files in a folder."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> str:
        """The certificates to trust."""
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def certificate(
        self, name: str, *others: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[str, str]:
        """The files of a certificate for a host, and of its key; both are replaced where they were before."""
        issued = self.ca.issue_cert(name, *others, not_before=since, not_after=until)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        replace(key, issued.private_key_pem.bytes())
        replace(cert, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return str(cert), str(key)


def replace(path: Path | str, content: bytes) -> None:
    """Put a file in the place of another, as whoever rotates certificates does: at once."""
    fresh = Path(f"{path}.fresh")
    fresh.write_bytes(content)
    fresh.replace(path)


@asynccontextmanager
async def behind_tls(
    address: str, authority: Authority, name: str = "127.0.0.1", *, asks_back: bool = False
) -> AsyncIterator[str]:
    """
    The address where the same is served with TLS, for a host of this name.

    With `asks_back` the caller needs a certificate of the same authority.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.certificate(name))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if asks_back:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.ca.configure_trust(context)
    host, _, port = address.rpartition(":")
    writers: set[asyncio.StreamWriter] = set()
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        both = {writer, inner_writer}
        writers.update(both)
        try:
            await asyncio.gather(_forward(reader, inner_writer), _forward(inner_reader, writer))
        finally:
            writers.difference_update(both)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*under_way)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    writer.close()
