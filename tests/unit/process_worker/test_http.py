from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11
import pytest

from process_worker.activities.outside.exchange import Asked, Reply, _request, exchange
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.http import asked_of, output_of
from process_worker.engine.calls import HttpCall
from process_worker.engine.faults import Fault
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, until
from tests.support.web import Web, web


@pytest.fixture
async def served() -> AsyncIterator[Web]:
    async with web() as served:
        served.script({"/x": [(200, {"n": 1})], "/bytes": [(200, b"\x00\x01")]})
        yield served


def get(uri: str, **more: Any) -> HttpCall:
    return HttpCall(**{"method": "GET", "uri": uri, **more})


async def carry_out(gateway: Gateway, call: HttpCall, authorization: dict[str, str] | None = None) -> Any:
    asked = asked_of(call, authorization or {}, "the-key")
    return output_of(call, asked, await gateway.send(asked, follow=call.redirect))


async def status_of(gateway: Gateway, uri: str, **more: Any) -> int:
    with pytest.raises(Fault) as caught:
        await carry_out(gateway, get(uri, **more))
    return caught.value.problem.status


async def test_a_host_that_is_allowed_is_called(served: Web) -> None:
    host = served.base.removeprefix("http://")
    for allowed in (host, "127.0.0.1", f"example.com, {host}"):
        assert await carry_out(Gateway.of(allowed), get(f"{served.base}/x")) == {"n": 1}
    assert served.headers[0]["idempotency-key"] == "the-key"


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("", "127.0.0.1"),
        ("example.com", "127.0.0.1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
        ("127.0.0.1", "0x7f000001"),
        ("2130706433", "2130706433"),
        ("127.1", "127.1"),
        ("127.0.0.1", "evil@127.0.0.2"),
        ("0.0.0.0", "127.0.0.1"),
    ],
)
async def test_nothing_connects_to_a_private_address_that_is_not_allowed_itself(
    allowed: str, host: str, served: Web
) -> None:
    port = served.base.rpartition(":")[2]
    assert await status_of(Gateway.of(allowed), f"http://{host}:{port}/x") in {403, 503}
    assert served.connections == 0


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_looked_at(
    served: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(served.base.rpartition(":")[2])
    looks: list[str] = []

    async def look(host: str, *_: Any, **__: Any) -> Any:
        looks.append(host)
        address = "127.0.0.1" if len(looks) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look, raising=False)
    gateway = Gateway.of("name.test,127.0.0.1")
    assert await carry_out(gateway, get(f"http://name.test:{port}/x")) == {"n": 1}
    assert looks == ["name.test"]
    assert served.headers[0]["host"] == f"name.test:{port}"


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "fd00::1", "fe80::1"]
)
async def test_a_name_that_leads_to_a_private_address_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look, raising=False)
    assert await status_of(Gateway.of("name.test"), "http://name.test/") == 403


async def test_a_redirect_is_an_error_unless_it_may_be_followed(served: Web) -> None:
    served.script({"/moved": [(302, "/x")]})
    assert await status_of(Gateway.of("127.0.0.1"), f"{served.base}/moved") == 302
    assert served.asked == ["/moved"]


async def test_a_redirect_that_leads_nowhere_is_an_answer_where_it_may_be_followed(served: Web) -> None:
    served.script({"/unchanged": [(304, None)]})
    call = get(f"{served.base}/unchanged", redirect=True, answer="response")
    assert (await carry_out(Gateway.of("127.0.0.1"), call))["statusCode"] == 304


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (302, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
async def test_a_redirect_is_followed_as_browsers_follow_it(
    status: int, method: str, then: str, served: Web
) -> None:
    served.script({"/a/moved": [(status, "../x?b=1#part")]})
    call = get(f"{served.base}/a/moved", method=method, body={"n": 1}, redirect=True)
    await carry_out(Gateway.of("127.0.0.1"), call)
    assert (served.asked, served.methods) == (["/a/moved", "/x?b=1"], [method, then])
    kept = then == method
    assert served.bodies[1] == (b'{"n":1}' if kept else b"")
    assert ("content-type" in served.headers[1]) is kept
    assert served.headers[1]["idempotency-key"] == "the-key"


@pytest.mark.parametrize(
    "to", ["http://other.test/", "http://127.0.0.2:{port}/x", "http://localhost:{port}/x"]
)
async def test_where_a_redirect_leads_is_looked_at_like_the_first_request(to: str, served: Web) -> None:
    port = served.base.rpartition(":")[2]
    served.script({"/moved": [(302, to.replace("{port}", port))]})
    assert await status_of(Gateway.of("127.0.0.1"), f"{served.base}/moved", redirect=True) == 403
    assert served.connections == 1


@pytest.mark.parametrize(("to", "status"), [("file:///etc/passwd", 400), ("http://[::1/", 502)])
async def test_a_redirect_to_what_cannot_be_called_is_a_clear_fault(
    to: str, status: int, served: Web
) -> None:
    served.script({"/moved": [(302, to)]})
    assert await status_of(Gateway.of("127.0.0.1"), f"{served.base}/moved", redirect=True) == status


async def test_who_a_redirect_leads_to_does_not_get_the_secret_of_another(served: Web) -> None:
    async with web() as other:
        other.script({"/x": [(200, 1)], "/moved": [(307, "/x")]})
        served.script({"/moved": [(307, "/there")], "/there": [(307, f"{other.base}/moved")]})
        authorization = {"Authorization": "Bearer abc"}
        call = get(f"{served.base}/moved", redirect=True)
        assert await carry_out(Gateway.of("127.0.0.1"), call, authorization) == 1
        assert [headers.get("authorization") for headers in served.headers] == ["bearer abc", "bearer abc"]
        assert ["authorization" in headers for headers in other.headers] == [False, False]


async def test_redirects_come_to_an_end(served: Web) -> None:
    served.script({"/round": [(302, "/round")]})
    assert await status_of(Gateway.of("127.0.0.1"), f"{served.base}/round", redirect=True) == 502
    assert len(served.asked) == 6


async def test_what_is_sent_is_what_was_said(served: Web) -> None:
    gateway = Gateway.of("127.0.0.1")
    asked: Any = {"query": {"b": "ü ", "c": 2}, "headers": {"X-One": 1}, "body": {"n": [1]}}
    await carry_out(gateway, get(f"{served.base}/x?a=1", method="POST", **asked))
    assert served.asked == ["/x?a=1&b=%C3%BC+&c=2"]
    assert served.headers[0]["x-one"] == "1"
    assert served.headers[0]["content-type"] == "application/json"
    assert served.bodies == [b'{"n":[1]}']


async def test_a_list_in_a_query_is_sent_item_by_item(served: Web) -> None:
    await carry_out(Gateway.of("127.0.0.1"), get(f"{served.base}/x", query={"a": [1, "b", True], "c": None}))
    assert served.asked == ["/x?a=1&a=b&a=true&c="]


async def test_a_header_cannot_smuggle_another(served: Web) -> None:
    what = {"headers": {"X": "a\r\nY: b"}}
    assert await status_of(Gateway.of("127.0.0.1"), f"{served.base}/x", **what) == 400
    assert served.connections == 0


async def test_a_query_is_no_part_of_a_fragment(served: Web) -> None:
    await carry_out(Gateway.of("127.0.0.1"), get(f"{served.base}/x?a=1#part", query={"b": 2}))
    assert served.asked == ["/x?a=1&b=2"]


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ('Text/HTML; charset="UTF-8"', "é".encode(), "é"),
    ],
)
def test_a_text_is_read_in_its_charset(kind: str, content: bytes, text: str) -> None:
    asked = Asked("GET", "http://x.test/")
    assert output_of(get("http://x.test/"), asked, Reply(200, {"content-type": kind}, content)) == text


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=nobody-knows"])
def test_a_text_that_cannot_be_read_is_a_clear_fault(kind: str) -> None:
    reply = Reply(200, {"content-type": kind}, b"\xe9")
    with pytest.raises(Fault) as caught:
        output_of(get("http://x.test/"), Asked("GET", "http://x.test/"), reply)
    assert caught.value.problem.status == 502


async def test_bytes_come_in_base64(served: Web) -> None:
    gateway = Gateway.of("127.0.0.1")
    assert await carry_out(gateway, get(f"{served.base}/bytes")) == "AAE="
    raw = await carry_out(gateway, get(f"{served.base}/x", answer="raw"))
    assert base64.b64decode(raw) == b'{"n":1}'


async def test_what_is_not_there_is_an_error() -> None:
    port = free_port()
    assert await status_of(Gateway.of("127.0.0.1"), f"http://127.0.0.1:{port}/") == 503
    assert await status_of(Gateway.of("127.0.0.1"), "ftp://127.0.0.1/") == 400


async def test_who_no_longer_waits_hangs_up(served: Web) -> None:
    served.delay = 60
    sending = asyncio.ensure_future(Gateway.of("127.0.0.1").send(Asked("GET", f"{served.base}/x")))
    async with asyncio.timeout(PATIENCE):
        while not served.asked:
            await asyncio.sleep(0.01)
        sending.cancel()
        await served.abandoned.wait()
    assert sending.cancelled()


async def test_an_exchange_needs_no_thread_and_leaves_nothing_open(served: Web) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    let_go = threading.Event()
    held = asyncio.create_task(asyncio.to_thread(let_go.wait))
    asked, port = Asked("GET", f"{served.base}/x"), urlsplit(served.base).port or 0
    try:
        before = open_files()
        assert (await exchange(asked, "127.0.0.1", port, None)).status == 200
        served.delay = 60
        exchanging = asyncio.ensure_future(exchange(asked, "127.0.0.1", port, None))
        await until(lambda: len(served.asked) == 2)
        exchanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchanging
        await until(lambda: open_files() == before)
    finally:
        let_go.set()
        await held


def open_files() -> int:
    return len([*Path("/dev/fd").iterdir()])


@pytest.mark.parametrize("value", ["a", "a b", "", " a ", "a\x7f"])
async def test_a_header_is_sent_as_it_is_written(value: str, served: Web) -> None:
    await carry_out(Gateway.of("127.0.0.1"), get(f"{served.base}/x", headers={"X-One": value}))
    assert served.headers[0]["x-one"] == value.strip()


def test_a_header_is_sent_in_latin_1() -> None:
    asked = Asked("GET", "http://x.test/", {"X-One": "ü"})
    assert b"\r\nX-One: \xfc\r\n" in _request(h11.Connection(h11.CLIENT), asked)


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", "0"), ("PUT", "0")])
async def test_a_request_says_how_much_content_it_has(method: str, length: str | None, served: Web) -> None:
    await carry_out(Gateway.of("127.0.0.1"), get(f"{served.base}/x", method=method))
    assert served.headers[0].get("content-length") == length
    assert served.headers[0]["accept-encoding"] == "identity"


async def test_nothing_is_allowed_unless_it_is_said() -> None:
    with pytest.raises(Fault, match="not allowed"):
        await Gateway.of("").send(Asked("GET", "http://example.com/"))
