from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
import structlog
from prometheus_client import REGISTRY

from refinery_core.serving.authentication import issuers, sources
from refinery_core.serving.authentication.keys import Ring, read_keys
from tests.support.issuing import ISSUER, Issuing, Pair, key_set, pair
from tests.support.tls import Authority, behind_tls
from tests.support.waiting import until
from tests.support.web import web

JWKS = "/jwks.json"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(issuers, "WAKE_SECONDS", 0.05)
    monkeypatch.setattr(issuers, "_FIRST_PAUSE_SECONDS", 0.02)


def good() -> float | None:
    return REGISTRY.get_sample_value("refinery_jwks_good", {"issuer": ISSUER})


@asynccontextmanager
async def calling(asking: Any, issuing: Issuing) -> AsyncIterator[list[int]]:
    """Eight callers who call again and again with new tokens; how many calls were answered. None may fail."""
    answered, done = [0], asyncio.Event()

    async def call(number: int) -> None:
        while not done.is_set():
            caller = await asking.call(f"Bearer {issuing.token(sub=f's{number}', jti=str(answered[0]))}")
            assert caller.authenticated
            answered[0] += 1

    tasks = [asyncio.create_task(call(number)) for number in range(8)]
    try:
        yield answered
    finally:
        done.set()
        await asyncio.gather(*tasks)


def replace(path: Path, content: bytes) -> None:
    """As everybody should who replaces a file: at one blow."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


async def is_taken(asking: Any, one: Pair) -> bool:
    try:
        await asking.call(f"Bearer {Issuing(one).token()}")
    except grpc.aio.AioRpcError:
        return False
    return True


async def rotate(asking: Any, issuing: Issuing, publish: Any) -> None:
    """Publish the next key, sign with it once it is known, publish it alone: three times."""
    for number in range(3):
        old, new = issuing.pair, pair(["ES256", "EdDSA", "RS256"][number], f"key {number}")
        publish(key_set(old, new))
        await until(partial(is_taken, asking, new))
        issuing.pair = new
        publish(key_set(new))
        await asyncio.sleep(0)


async def test_keys_in_a_file_are_replaced_under_load_and_no_call_fails(ask: Any) -> None:
    async with ask() as asking:
        async with calling(asking, asking.issuing) as answered:
            await rotate(asking, asking.issuing, lambda content: replace(asking.jwks, content))
            enough = answered[0] + 100
            await until(lambda: answered[0] > enough)
        assert good() == 1


async def test_keys_at_a_url_are_replaced_under_load_and_no_call_fails(ask: Any) -> None:
    async with web() as served:
        issuing = Issuing()
        served.script({JWKS: [(200, issuing.jwks)]})
        async with ask(issuing, jwt_jwks=served.base + JWKS, jwt_refresh_seconds=1) as asking:
            async with calling(asking, issuing) as answered:
                await rotate(asking, issuing, lambda content: served.script({JWKS: [(200, content)]}))
                enough = answered[0] + 100
                await until(lambda: answered[0] > enough)
            assert served.connections < answered[0] / 10
            assert all("authorization" not in headers for headers in served.headers)


async def test_an_unknown_key_wakes_the_fetch_and_no_call_waits_for_it(ask: Any) -> None:
    async with web() as served:
        issuing, new = Issuing(), pair("EdDSA", "new")
        served.script({JWKS: [(200, issuing.jwks)]})
        async with ask(issuing, jwt_jwks=served.base + JWKS, jwt_refresh_seconds=3_600) as asking:
            served.script({JWKS: [(200, key_set(issuing.pair, new))]})
            served.delay = 0.5
            before = served.connections
            refused = [await asking.refusal(f"Bearer {Issuing(new).token()}") for _ in range(20)]
            assert {one.reason for one in refused} == {"UNAUTHENTICATED"}
            await until(lambda: is_taken(asking, new))
            assert served.connections - before <= 2


async def test_a_bad_file_leaves_the_last_good_keys_and_says_so_once(ask: Any) -> None:
    async with ask() as asking:
        with structlog.testing.capture_logs() as lines:
            for bad in (b"{", b'{"keys": []}'):
                replace(asking.jwks, bad)
                await until(lambda: good() == 0)
                await asyncio.sleep(0.1)
                assert await is_taken(asking, asking.issuing.pair)
            asking.jwks.unlink()
            await until(lambda: [line for line in lines if "cannot be read" in str(line.get("problem"))])
            assert await is_taken(asking, asking.issuing.pair)
            replace(asking.jwks, asking.issuing.jwks)
            await until(lambda: good() == 1)
        problems = [line["problem"] for line in lines if "problem" in line]
        assert len(problems) == len(set(problems)) == 3
        assert len([line for line in lines if "good again" in line["event"]]) == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((503, None), "it answered with status 503"),
        ((302, "https://evil.example/jwks"), "it answered with status 302"),
        ((200, b"<html>"), "it is not JSON"),
        ((200, b"x" * (3 << 20)), "it is too large"),
        ((200, {"keys": [{"kty": "oct", "k": "AAAA"}]}), "private or secret key"),
    ],
    ids=str,
)
async def test_a_bad_answer_leaves_the_last_good_keys(ask: Any, answer: Any, problem: str) -> None:
    async with web() as served:
        issuing = Issuing()
        served.script({JWKS: [(200, issuing.jwks), answer]})
        with structlog.testing.capture_logs() as lines:
            async with ask(issuing, jwt_jwks=served.base + JWKS, jwt_refresh_seconds=1) as asking:
                await until(lambda: [line for line in lines if problem in str(line.get("problem"))])
                assert await is_taken(asking, issuing.pair)
                served.script({JWKS: [(200, issuing.jwks)]})
                await until(lambda: good() == 1)


async def test_what_nobody_foresaw_does_not_end_the_look_for_keys(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ask() as asking:
        with monkeypatch.context() as patch:
            patch.setattr(issuers, "read_keys", lambda _: 1 / 0)
            replace(asking.jwks, asking.issuing.jwks)
            await until(lambda: good() == 0)
        replace(asking.jwks, asking.issuing.jwks)
        await until(lambda: good() == 1)


async def test_a_url_that_does_not_answer_lets_nobody_in_until_it_does(ask: Any, tmp_path: Path) -> None:
    async with web() as served:
        issuing = Issuing()
        served.script({JWKS: [(503, None)]})
        async with ask(issuing, jwt_jwks=served.base + JWKS, jwt_refresh_seconds=1) as asking:
            assert not await is_taken(asking, issuing.pair)
            served.script({JWKS: [(200, issuing.jwks)]})
            await until(lambda: is_taken(asking, issuing.pair))


@pytest.mark.parametrize("trusted", [True, False])
async def test_keys_are_fetched_by_tls_from_whom_is_trusted_alone(
    ask: Any, tmp_path: Path, *, trusted: bool
) -> None:
    own, other = Authority(tmp_path), Authority(tmp_path)
    async with web() as served, behind_tls(served.base.removeprefix("http://"), own) as address:
        issuing = Issuing()
        served.script({JWKS: [(200, issuing.jwks)]})
        ca = (own if trusted else other).file
        url = f"https://{address}{JWKS}"
        async with ask(issuing, jwt_jwks=url, jwt_ca=ca) as asking:
            assert await is_taken(asking, issuing.pair) is trusted


def test_an_old_key_holds_for_a_while() -> None:
    now = [0.0]
    ring = Ring(old_seconds=3_600, clock=lambda: now[0])
    first, second = pair("EdDSA", "first"), pair("EdDSA", "second")
    assert not ring
    assert ring.replace(read_keys(key_set(first)))
    assert ring.replace(read_keys(key_set(second)))
    assert not ring.replace(read_keys(key_set(second)))
    now[0] = 3_599
    (old,) = ring.candidates("first", "EdDSA")
    assert ring.holds(old)
    now[0] = 3_600
    assert (ring.candidates("first", "EdDSA"), ring.holds(old), bool(ring)) == ([], False, True)
    assert ring.replace(read_keys(key_set(first, second)))
    assert ring.candidates("first", "EdDSA")


async def test_a_key_that_is_withdrawn_at_once_takes_its_verified_tokens_with_it(ask: Any) -> None:
    async with ask(jwt_old_keys_seconds=0) as asking:
        assert await is_taken(asking, asking.issuing.pair)
        token = asking.issuing.token()
        await asking.call(f"Bearer {token}")
        replace(asking.jwks, key_set(pair("EdDSA", "second")))

        async def is_refused() -> bool:
            try:
                await asking.call(f"Bearer {token}")
            except grpc.aio.AioRpcError:
                return True
            return False

        await until(is_refused)


async def test_another_key_with_the_same_kid_takes_its_place(ask: Any) -> None:
    async with ask() as asking:
        first, second = asking.issuing.pair, pair("EdDSA", asking.issuing.pair.kid)
        replace(asking.jwks, key_set(second))
        await until(lambda: is_taken(asking, second))
        assert await is_taken(asking, first), "for an hour both are taken"


async def test_keys_come_in_chunks_too() -> None:
    content = orjson.dumps({"keys": [pair().jwk]})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(content), 50):
            part = content[at : at + 50]
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        source = sources.source_of(f"http://127.0.0.1:{port}/", every_seconds=1, ca=None)
        assert await source.read() == content
