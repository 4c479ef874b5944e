"""The gateway of processes: only to hosts that are allowed, and only to the address that was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

import h11

from process_worker.activities.outside.exchange import Asked, Reply, exchange
from process_worker.engine.faults import Fault, standard
from refinery_core.settings import CannotStart, content_of

SECONDS: Final = 60.0
MAX_REDIRECTS: Final = 5
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "::ffff:0:0:0/96", "64:ff9b:1::/48", "5f00::/16", "fec0::/10")
)
"""Networks of special purposes that not every Python knows."""
_PORTS: Final = {"http": 80, "https": 443}
_PORT_END: Final = 65_536
_GRPC_TLS: Final = "grpcs://"
_ENTRY: Final = re.compile(r"(?:[\w.-]+|\[(?P<six>[^]]+)])(?::(?P<port>[0-9]{1,5}))?")
_MOVED: Final = frozenset({301, 302})
_SEE_OTHER: Final = 303
_REDIRECTS: Final = _MOVED | {_SEE_OTHER, 307, 308}
_FOR_ONE_ORIGIN: Final = frozenset({"authorization", "cookie"})
"""Headers that a redirect to another origin drops."""


@dataclass(frozen=True)
class Gateway:
    """
    The gateway. `allowed` has the hosts that may be called, as `host` or `host:port`.

    A name is resolved once, and the connection goes to the address that was checked. An address that is not
    public has to be allowed itself, whatever name leads to it. Redirects are checked in the same way.
    """

    allowed: frozenset[str] = frozenset()
    grpc_tls: frozenset[str] = frozenset()
    """The allowed hosts whose gRPC servers speak TLS; those on port 443 always do."""
    authorities: bytes | None = None
    """The trusted certificate authorities, in PEM; None for those of the system."""
    seconds: float = SECONDS
    """The seconds that a request and its answer may take, all redirects included."""

    @classmethod
    def of(cls, setting: str, ca_file: str | None = None) -> Gateway:
        """
        Read the setting: hosts, separated by commas; `grpcs://host:port` serves gRPC with TLS.

        Raises:
            CannotStart: an entry is no host, or the file has no certificates.
        """
        written = [part.strip().lower() for part in setting.split(",") if part.strip()]
        hosts = [_allowed(part.removeprefix(_GRPC_TLS)) for part in written]
        secure = [host for part, host in zip(written, hosts, strict=True) if part.startswith(_GRPC_TLS)]
        authorities = None if ca_file is None else content_of(ca_file)
        gateway = cls(frozenset(hosts), frozenset(secure), authorities)
        if authorities is not None:
            try:
                _ = gateway.tls
            except (ssl.SSLError, ValueError):
                raise CannotStart(f"{ca_file} holds no certificates in PEM.") from None
        return gateway

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS context for HTTPS; made once, since that takes longer than a call."""
        if self.authorities is None:
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authorities.decode("ascii", errors="ignore"))
        return context

    def speaks_tls(self, host: str, port: int) -> bool:
        """Whether gRPC servers at this host and port speak TLS."""
        return port == _PORTS["https"] or _is_among(self.grpc_tls, host, port)

    async def send(self, asked: Asked, *, follow: bool = False) -> Reply:
        """
        Send a request, and follow redirects if asked to.

        Raises:
            Fault: the host is not allowed, or does not answer.
        """
        try:
            async with asyncio.timeout(self.seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    reply = await self._send(asked)
                    following = _redirected(asked, reply) if follow else None
                    if following is None:
                        return reply
                    asked = following
        except TimeoutError:
            host = urlsplit(asked.uri).hostname
            raise standard("timeout", f"{host} did not answer in {self.seconds:g} seconds") from None
        raise standard("communication", f"there were more than {MAX_REDIRECTS} redirects", status=502)

    async def _send(self, asked: Asked) -> Reply:
        try:
            parts = urlsplit(asked.uri)
            usual = _PORTS[parts.scheme]
            host, port = parts.hostname or "", parts.port or usual
        except (KeyError, ValueError):
            raise standard("configuration", f"'{asked.uri}' is no http or https URI") from None
        address = await self.address_of(host, port)
        try:
            return await exchange(asked, address, port, self.tls if parts.scheme == "https" else None)
        except TimeoutError:
            raise
        except (OSError, h11.RemoteProtocolError) as fault:
            reason = str(fault) or type(fault).__name__
            raise standard("communication", f"{host} cannot be reached: {reason}", status=503) from None
        except (ValueError, h11.LocalProtocolError):
            # The exact error might quote a secret.
            raise standard("configuration", "the request has a character that requests cannot have") from None

    async def address_of(self, host: str, port: int) -> str:
        """
        Find the address to connect to.

        Raises:
            Fault: the host is not allowed, or has no allowed address.
        """
        host = host.lower()
        if not _is_among(self.allowed, host, port):
            raise _forbidden(f"the host '{host}' is not allowed; REFINERY_HTTP_ALLOW says which are")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            detail = f"the host '{host}' has no address"
            raise standard("communication", detail, status=503) from None
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if _is_public(address) or _is_among(self.allowed, address, port):
                return address
        raise _forbidden(
            f"the host '{host}' is at {addresses[0]}, which is not public and not allowed itself"
        )


def _allowed(entry: str) -> str:
    """An entry in the form that `_is_among` compares."""
    found = _ENTRY.fullmatch(entry)
    six, port = (entry, None) if found is None else found.group("six", "port")
    try:
        if six is not None:
            ipaddress.IPv6Address(six)
        is_one = port is None or 0 < int(port) < _PORT_END
    except ValueError:
        is_one = False
    if not is_one:
        raise CannotStart(
            f"REFINERY_HTTP_ALLOW: '{entry}' is no host; each is named in full, as HOST, HOST:PORT, "
            f"[IPV6]:PORT or {_GRPC_TLS}HOST:PORT."
        )
    return six if six is not None and port is None else entry


def _is_among(hosts: frozenset[str], host: str, port: int) -> bool:
    host = host.lower()
    shown = f"[{host}]" if ":" in host else host
    return not hosts.isdisjoint({host, f"{shown}:{port}"})


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # These contain an IPv4 address.
        embedded = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED or found in _COMPATIBLE:
            embedded = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if embedded is not None:
            return _is_public(str(embedded))
    return found.is_global and not found.is_multicast and not any(found in net for net in _NOT_PUBLIC)


def _redirected(asked: Asked, reply: Reply) -> Asked | None:
    """The request that a redirect asks for, as browsers make it; None where the reply is no redirect."""
    location = reply.headers.get("location")
    if reply.status not in _REDIRECTS or not location:
        return None
    method, content, unwanted = asked.method, asked.content, set[str]()
    if method != "HEAD" and (reply.status == _SEE_OTHER or (method == "POST" and reply.status in _MOVED)):
        method, content, unwanted = "GET", None, {"content-type"}
    try:
        uri, _ = urldefrag(urljoin(asked.uri, location))
        if urlsplit(uri)[:2] != urlsplit(asked.uri)[:2]:
            unwanted |= _FOR_ONE_ORIGIN
    except ValueError:
        raise standard("communication", "it was redirected to what is no URI", status=502) from None
    headers = {name: value for name, value in asked.headers.items() if name.lower() not in unwanted}
    return Asked(method, uri, headers, content)


def _forbidden(detail: str) -> Fault:
    return standard("authorization", detail, title="Not allowed")
