from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_client.refusals import refusal_from
from refinery_core.errors import Overloaded, VibeNotFound
from refinery_core.serving.access_log import AccessLog
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.layers import LAYERS, Known, Meant, Room
from refinery_core.serving.principal import current_principal
from refinery_core.serving.refusals import Refusals
from tests.support.waiting import PATIENCE


def test_the_layers_stand_in_their_order() -> None:
    assert (AccessLog, Refusals, Room, Known, Meant) == LAYERS


async def test_a_call_leaves_one_line(server: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        await server.one("a")

    (line,) = [line for line in lines if line["event"] == "call"]
    assert line["method"] == "/refinery.ledger.v1.LedgerService/One"
    assert (line["code"], line["principal"], line["log_level"]) == ("OK", "anonymous", "info")
    assert line["ms"] >= 0
    assert line["peer"].startswith("ipv4:127.0.0.1:")


async def test_the_line_of_a_refused_call_has_its_code_and_reason(server: Any) -> None:
    server.shapes.error = VibeNotFound(reference="x")

    with structlog.testing.capture_logs() as lines:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.many("refuse")
        await until_logged(lines)

    (line,) = [line for line in lines if line["event"] == "call"]
    assert (line["code"], line["reason"]) == ("NOT_FOUND", "VIBE_NOT_FOUND")


async def until_logged(lines: list[Any]) -> None:
    """Wait for the line of a call: a refused caller gets the answer before the line is written."""
    async with asyncio.timeout(PATIENCE):
        while not any(line["event"] == "call" for line in lines):
            await asyncio.sleep(0.005)


async def test_the_line_of_a_cancelled_call_says_so(server: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        call = server.watch()
        await anext(aiter(call))
        call.cancel()
        await until_logged(lines)

    assert [line["code"] for line in lines if line["event"] == "call"] == ["CANCELLED"]


async def test_questions_about_the_server_are_for_debugging_only(server: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        await health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest())

    assert [line["log_level"] for line in lines if line["event"] == "call"] == ["debug"]


async def test_beyond_its_capacity_a_server_refuses_fast_and_recovers(run: Any) -> None:
    async with run(capacity=Capacity(calls=2, streams=1)) as server:
        waiting = [asyncio.create_task(server.one("wait")) for _ in range(2)]
        async with asyncio.timeout(PATIENCE):
            while server.shapes.entered < 2:
                await asyncio.sleep(0.005)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.one("a")
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        # Streams are counted apart, and health is always answered.
        assert await server.each("a") == ["a"]
        await health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest())

        server.shapes.release.set()
        assert await asyncio.gather(*waiting) == ["wait", "wait"]
        assert await server.one("a") == "a"


async def test_one_connection_cannot_take_all_the_room(run: Any) -> None:
    async with (
        run(capacity=Capacity(calls=4, streams=4, calls_of_one=2, streams_of_one=2)) as server,
        grpc.aio.insecure_channel(
            f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]
        ) as channel,
    ):
        other = replace(server, channel=channel)
        watches = [server.watch() for _ in range(2)]
        for watch in watches:
            await anext(aiter(watch))
        calls = [asyncio.create_task(server.one("wait")) for _ in range(2)]
        async with asyncio.timeout(5):
            while server.shapes.entered < 4:
                await asyncio.sleep(0.005)

        for shape, bound in ((server.each, "2 streams"), (server.one, "2 calls")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await shape("a")
            refusal = refusal_from(caught.value)
            assert isinstance(refusal, Overloaded)
            assert refusal.metadata == {"bound": f"{bound} at once over one connection"}
        # Another connection has room, until the whole has none.
        assert (await other.each("a"), await other.one("a")) == (["a"], "a")
        more = [other.watch() for _ in range(2)]
        for watch in more:
            await anext(aiter(watch))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await other.each("a")
        assert refusal_from(caught.value).metadata == {"bound": "4 streams at once"}

        for watch in watches:
            watch.cancel()
        async with asyncio.timeout(5):
            while server.shapes.left < 2:
                await asyncio.sleep(0.005)
        assert await server.each("a") == ["a"]
        server.shapes.release.set()
        assert await asyncio.gather(*calls) == ["wait", "wait"]


@pytest.mark.parametrize("peer", ["", "unix:"])
def test_connections_that_have_no_name_of_their_own_share_only_the_whole(peer: str) -> None:
    capacity = Capacity(streams=3, streams_of_one=1)
    for _ in range(3):
        capacity.take(streaming=True, peer=peer)
    with pytest.raises(Overloaded, match="3 streams at once"):
        capacity.take(streaming=True, peer=peer)


async def test_while_authentication_is_off_everybody_is_anonymous() -> None:
    assert current_principal() == "anonymous"
