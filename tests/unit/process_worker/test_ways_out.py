"""Forbidden calls connect to nothing; endless or huge answers end with a fault."""

from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from process_worker.activities.outside.gateway import Gateway, _is_among
from process_worker.activities.outside.http import asked_of, output_of
from process_worker.activities.outside.openapi import request_of
from process_worker.activities.outside.rpc import call as call_grpc
from process_worker.engine.calls import GrpcCall, HttpCall, OpenApiCall, WebDocument
from process_worker.engine.faults import Fault
from refinery_core.settings import CannotStart
from tests.support.waiting import PATIENCE
from tests.support.web import Web, web

_connects: list[Any] = []
_counting = threading.Event()


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _counting.is_set():
        _connects.append(arguments[1])


sys.addaudithook(_count)


@pytest.fixture
def connects() -> Iterator[list[Any]]:
    """All addresses that sockets of this process connect to, in any thread."""
    _connects.clear()
    _counting.set()
    yield _connects
    _counting.clear()


@pytest.fixture
async def served() -> AsyncIterator[Web]:
    async with web() as served:
        served.script({"/x": [(200, {"n": 1})]})
        yield served


def port_of(served: Web) -> int:
    return int(served.base.rpartition(":")[2])


async def carry_out(gateway: Gateway, uri: str, **more: Any) -> Any:
    return await send(gateway, HttpCall("GET", uri, **more))


async def send(gateway: Gateway, call: HttpCall) -> Any:
    asked = asked_of(call, {}, "the-key")
    return output_of(call, asked, await gateway.send(asked))


async def refused(work: Awaitable[Any]) -> int:
    with pytest.raises(Fault) as caught:
        await work
    return caught.value.problem.status


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name leads to these addresses."""

    async def look(_: str, port: int, **__: Any) -> Any:
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look, raising=False)


PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254"),
    *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1", "64:ff9b:1::1", "fec0::1", "5f00::1"),
    *("::ffff:0:127.0.0.1", "192.0.0.8"),
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_no_name_leads_to_an_address_that_is_not_public(
    address: str, monkeypatch: pytest.MonkeyPatch, connects: list[Any]
) -> None:
    leads_to(monkeypatch, address)
    gateway = Gateway.of("name.test")
    assert await refused(carry_out(gateway, "http://name.test/")) == 403
    assert await refused(call_grpc(gateway, GrpcCall("a.B", "C", "name.test", 80), {}, None)) == 403
    assert connects == []


@pytest.mark.parametrize(
    ("allowed", "uri"),
    [
        ("name.test", "http://name.test@127.0.0.1:{port}/x"),
        ("name.test", "http://name.test:80@127.0.0.1:{port}/x"),
        ("name.test", "http://127.0.0.1:{port}#@name.test/"),
        ("name.test", "http://127.0.0.1:{port}?@name.test/"),
        ("name.test", "http://127.0.0.1:{port}/@name.test/"),
        ("name.test", "http://127.0.0.1:{port}\\@name.test/"),
        ("name.test", "http://name.test\\@127.0.0.1:{port}/"),
        ("127.0.0.1:1", "http://127.0.0.1:{port}/x"),
        ("127.0.0.1", "http://127.0.0.1.:{port}/x"),
        ("127.0.0.1", "http://2130706433:{port}/x"),
        ("127.0.0.1", "http://017700000001:{port}/x"),
        ("127.0.0.1", "http://0x7f.1:{port}/x"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]:{port}/x"),
        ("127.0.0.1", "http://\u2460\u2461\u2466.0.0.1:{port}/x"),
        ("127.0.0.1", "http://[::1/x"),
        ("127.0.0.1", "http://127.0.0.1:99999/x"),
        ("127.0.0.1", "http:///x"),
        ("127.0.0.1", "//127.0.0.1:{port}/x"),
        ("127.0.0.1", "file:///etc/passwd"),
        ("127.0.0.1", "gopher://127.0.0.1:{port}/x"),
    ],
)
async def test_a_uri_of_two_minds_connects_to_nothing(
    allowed: str, uri: str, served: Web, connects: list[Any]
) -> None:
    written = uri.replace("{port}", str(port_of(served)))
    assert await refused(carry_out(Gateway.of(allowed), written)) in {400, 403, 503}
    assert (connects, served.connections) == ([], 0)


@pytest.mark.parametrize(
    "server",
    ["http://127.0.0.1:{port}", "//127.0.0.1:{port}/", "http://name.test@127.0.0.1:{port}", "file:///etc"],
)
async def test_a_server_of_an_openapi_document_is_called_only_if_it_is_allowed(
    server: str, served: Web, connects: list[Any]
) -> None:
    document = {
        "servers": [{"url": server.replace("{port}", str(port_of(served)))}],
        "paths": {"/x": {"get": {"operationId": "x"}}},
    }
    source = "https://name.test/openapi.json"

    async def call() -> Any:
        asked = request_of(document, OpenApiCall(WebDocument(source), "x"), source)
        return await send(Gateway.of("name.test"), asked)

    assert await refused(call()) in {400, 403}
    assert (connects, served.connections) == ([], 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other.test"},
        {"Transfer-Encoding": "chunked"},
        {"content-length": "0"},
        {"Connection": "X"},
        {"Upgrade": "h2c"},
        {"X\r\nHost": "a"},
        {"": "a"},
        {"X": "a\nb"},
        {"\u20ac": "a"},
        {"Transfer-Encoding ": "chunked"},
        {"Content-Length\t": "0"},
        {" Host": "other.test"},
        {"Ho st": "other.test"},
    ],
)
async def test_a_header_neither_names_another_host_nor_begins_another_request(
    headers: dict[str, str], served: Web
) -> None:
    gateway = Gateway.of("127.0.0.1")
    assert await refused(carry_out(gateway, f"{served.base}/x", headers=headers, body="a")) == 400
    assert served.asked == []


async def test_what_no_uri_can_have_is_told_and_not_sent(served: Web) -> None:
    gateway = Gateway.of("127.0.0.1")
    for path in ("/ü", "/a b", "/\x00"):
        assert await refused(carry_out(gateway, served.base + path)) in {400, 503}
    assert served.asked == []


@pytest.mark.parametrize(
    "entry",
    [
        "http://x/",
        "https://x",
        "*.example.com",
        "x/",
        "x:",
        "x:0",
        "x:65536",
        "x:http",
        "u@x",
        "[::1",
        "[x]:1",
    ],
)
def test_a_host_that_could_never_be_called_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(CannotStart, match=r"^REFINERY_HTTP_ALLOW: '.*' is no host; each is named in full"):
        Gateway.of(f"example.com, {entry}")


@pytest.mark.parametrize(
    ("entry", "host", "port", "tls"),
    [
        ("Example.COM", "example.com", 80, False),
        ("example.com:8080", "example.com", 8080, False),
        ("127.0.0.1:80", "127.0.0.1", 80, False),
        ("::1", "::1", 80, False),
        ("[::1]", "::1", 80, False),
        ("[::1]:80", "::1", 80, False),
        ("grpcs://example.com", "example.com", 50051, True),
        ("grpcs://[::1]:50051", "::1", 50051, True),
    ],
)
def test_a_host_is_allowed_as_it_is_written(entry: str, host: str, port: int, tls: bool) -> None:
    gateway = Gateway.of(entry)
    assert _is_among(gateway.allowed, host, port)
    assert gateway.speaks_tls(host, port) is tls


# --- Answers that never end, or are far too large ------------------------------------------

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def odd(answer: Answer) -> AsyncIterator[tuple[str, list[None]]]:
    """A server with odd answers, and a list that grows with each answer that ended."""
    ended: list[None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            ended.append(None)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ended


async def _drip(writer: asyncio.StreamWriter, head: bytes, drop: bytes) -> None:
    writer.write(head)
    while not writer.is_closing():
        writer.write(drop)
        await writer.drain()
        await asyncio.sleep(0.01)
    raise ConnectionError


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD, b"X"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "header", "interim answers"],
)
async def test_an_answer_that_drips_for_ever_is_hung_up_on(head: bytes, drop: bytes) -> None:
    async with odd(lambda writer: _drip(writer, head, drop)) as (uri, ended):
        gateway = Gateway(frozenset({"127.0.0.1"}), seconds=0.3)
        async with asyncio.timeout(PATIENCE):
            while not ended:
                with pytest.raises(Fault) as caught:
                    await carry_out(gateway, uri)
                assert caught.value.problem.status == 408
                await asyncio.sleep(0.01)


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"[" * 65_536)
        await writer.drain()


async def _zipped(writer: asyncio.StreamWriter) -> None:
    body = gzip.compress(b"0" * 50_000_000)
    writer.write(HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + body)


async def _long_header(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n")


async def _many_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"".join(b"X%d: 1\r\n" % n for n in range(200)) + b"\r\n")


async def _large_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"".join(b"X%d: %b\r\n" % (n, b"a" * 60_000) for n in range(20)) + b"\r\n")


async def _silence(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _half(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 4\r\n\r\nnu")


async def _rubbish(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff" * 1_000)


async def _for_now(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + HEAD + b"\r\n1")


ODD = [_endless, _zipped, _long_header, _many_headers, _large_headers, _for_now, _rubbish, _silence, _half]


@pytest.mark.parametrize("answer", ODD)
async def test_an_answer_that_is_too_much_or_none_is_a_clear_fault(answer: Answer) -> None:
    async with odd(answer) as (uri, _):
        assert await refused(carry_out(Gateway.of("127.0.0.1"), uri)) in {502, 503}


async def test_a_grpc_server_that_never_answers_holds_no_thread() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # The kernel accepts, and nobody reads.
        call = GrpcCall("a.B", "C", "127.0.0.1", silent.getsockname()[1])
        gateway = Gateway(frozenset({"127.0.0.1"}), seconds=0.3)
        assert await refused(call_grpc(gateway, call, {}, None)) == 408
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(lambda: None)
