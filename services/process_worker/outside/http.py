"""HTTP calls: only to hosts that are allowed, only to the address that was looked at, and only so large."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit, urlunsplit

import orjson

from process_worker.engine.faults import Fault, standard
from refinery_core.vibe.documents import MAX_BYTES

SECONDS: Final = 60.0
MAX_REDIRECTS: Final = 5
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_MAX_HEADERS: Final = 64 << 10
_OWN_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Which host is asked and where a request ends is not for the process to say."""
_PORTS: Final = {"http": 80, "https": 443}
_MOVED: Final = frozenset({301, 302})
_SEE_OTHER: Final = 303
_REDIRECTS: Final = _MOVED | {_SEE_OTHER, 307, 308}
_FOR_ONE_ORIGIN: Final = frozenset({"authorization", "cookie"})
"""Headers that are not for whoever a redirect leads to."""


@dataclass(frozen=True)
class Reply:
    """What was answered."""

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


@dataclass(frozen=True)
class Gateway:
    """
    The way out. `allowed` holds hosts, `host` or `host:port`; nothing is allowed that is not there.

    A name is resolved once, and the connection goes to the address that was found. An address that is not
    public has to be allowed itself, whatever name leads to it. Where a redirect leads is looked at in the
    same way.
    """

    allowed: frozenset[str] = frozenset()
    seconds: float = SECONDS
    """How long the whole of a request and its answer may take, with all redirects."""

    @classmethod
    def of(cls, setting: str) -> Gateway:
        """Read the setting: hosts, separated by commas."""
        return cls(frozenset(part.strip().lower() for part in setting.split(",") if part.strip()))

    async def send(self, asked: Asked, *, follow: bool = False) -> Reply:
        """
        Send a request, and where it is redirected, if that is to be followed.

        Raises:
            Fault: it may not be sent, or is not answered.
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
            return await _converse(asked, address, port)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as fault:
            reason = str(fault) or type(fault).__name__
            raise standard("communication", f"{host} cannot be reached: {reason}", status=503) from None
        except ValueError:
            # What exactly is wrong might quote a secret.
            raise standard("configuration", "the request has a character that requests cannot have") from None

    async def address_of(self, host: str, port: int) -> str:
        """
        Find the address to connect to.

        Raises:
            Fault: the host is not allowed, or has no address that is.
        """
        host = host.lower()
        if not self._allows(host, port):
            raise _forbidden(f"the host '{host}' is not allowed; REFINERY_HTTP_ALLOW says which are")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            detail = f"the host '{host}' has no address"
            raise standard("communication", detail, status=503) from None
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if _is_public(address) or self._allows(address, port):
                return address
        raise _forbidden(
            f"the host '{host}' is at {addresses[0]}, which is not public and not allowed itself"
        )

    def _allows(self, host: str, port: int) -> bool:
        shown = f"[{host}]" if ":" in host else host
        return not self.allowed.isdisjoint({host, f"{shown}:{port}"})


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # These lead to an address of the older kind.
        embedded = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED or found in _COMPATIBLE:
            embedded = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if embedded is not None:
            return _is_public(str(embedded))
    return found.is_global and not found.is_multicast


def _redirected(asked: Asked, reply: Reply) -> Asked | None:
    """What to ask instead, as browsers do it; None where this is the answer."""
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


async def _converse(asked: Asked, address: str, port: int) -> Reply:
    # The address that was looked at, not what the name might mean by now.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, (address, port))
        exchanging = line.dup()
        exchanging.settimeout(SECONDS)
        return await asyncio.to_thread(_exchange, asked, exchanging, port)
    finally:
        # The thread that waits for an answer, however slowly it drips, hears that there is no more.
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()


def _exchange(asked: Asked, line: socket.socket, port: int) -> Reply:
    parts = urlsplit(asked.uri)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    connection.sock = line
    try:
        if parts.scheme == "https":
            tls = ssl.create_default_context()
            connection.sock = tls.wrap_socket(connection.sock, server_hostname=host)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = {"Host": parts.netloc.rpartition("@")[2], **asked.headers}
        connection.request(asked.method, target, body=asked.content, headers=headers)
        response = connection.getresponse()
        content = response.read(MAX_BYTES + 1)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if sum(len(name) + len(value) for name, value in headers.items()) > _MAX_HEADERS:
            raise http.client.HTTPException(f"its headers are larger than {_MAX_HEADERS} bytes")
        return Reply(response.status, headers, content)
    finally:
        connection.close()


# --- Calls ------------------------------------------------------------------------------------


def asked_of(what: Mapping[str, Any], authorization: Mapping[str, str], key: str) -> Asked:
    """
    Make a request of an `http` call. The key lets a server see that it has answered this before.

    Raises:
        Fault: it has a header that it cannot have.
    """
    uri = what["uri"]
    if what.get("query"):
        uri = f"{uri}{'&' if '?' in uri else '?'}{form(what['query'])}"
    headers = {name: _header(value) for name, value in (what.get("headers") or {}).items()}
    known = {name.lower() for name in headers}
    if own := sorted(known & _OWN_HEADERS):
        raise standard("configuration", f"the header '{own[0]}' cannot be set")
    content = None
    if "body" in what:
        body = what["body"]
        content = body.encode() if isinstance(body, str) else orjson.dumps(body)
        if "content-type" not in known:
            headers["Content-Type"] = "text/plain" if isinstance(body, str) else "application/json"
    if "idempotency-key" not in known:
        headers["Idempotency-Key"] = key
    return Asked(what["method"], uri, {**headers, **authorization}, content)


def output_of(what: Mapping[str, Any], asked: Asked, reply: Reply) -> Any:
    """
    What the task gives for an answer.

    Raises:
        Fault: the answer says that it failed, or cannot be read.
    """
    highest = 399 if what["redirect"] else 299
    if not 200 <= reply.status <= highest:
        detail = f"{asked.method} {urlsplit(asked.uri).hostname} was answered with {reply.status}"
        title = http.client.responses.get(reply.status, "")
        raise standard("communication", detail, title=title, status=reply.status)
    if len(reply.content) > MAX_BYTES:
        raise standard("communication", f"the answer is larger than {MAX_BYTES} bytes", status=502)
    if what["answer"] == "raw":
        return base64.b64encode(reply.content).decode()
    content = _content(reply)
    if what["answer"] == "content":
        return content
    public = {name: value for name, value in asked.headers.items() if name.lower() != "authorization"}
    request = {"method": asked.method.lower(), "uri": asked.uri, "headers": public}
    return {"request": request, "statusCode": reply.status, "headers": reply.headers, "content": content}


def _content(reply: Reply) -> Any:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not reply.content:
        return None
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return orjson.loads(reply.content)
        if kind.startswith("text/"):
            return reply.content.decode()
    except ValueError:
        raise standard("communication", f"the answer is not the {kind} that it says", status=502) from None
    return base64.b64encode(reply.content).decode()


def _header(value: Any) -> str:
    text = plain(value)
    if any(ord(character) < 32 or ord(character) > 255 for character in text):
        raise standard("configuration", "a header has a character that headers cannot have")
    return text


def form(fields: Mapping[str, Any]) -> str:
    """Write fields as a query or a form has them; a list is a field for each of its items."""
    pairs = [(name, value if isinstance(value, list) else [value]) for name, value in fields.items()]
    return urlencode([(name, plain(value)) for name, values in pairs for value in values])


def plain(value: Any) -> str:
    """Write a value where there is only text: a string as it is, anything else as JSON, null as nothing."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if value is not None else ""
