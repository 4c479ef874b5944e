from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_core.errors import VibeNotFound
from refinery_core.serving.access_log import AccessLog
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.layers import LAYERS, Known, Room
from refinery_core.serving.principal import current_principal
from refinery_core.serving.refusals import Refusals
from tests.cases.waiting import PATIENCE


def test_the_layers_stand_in_their_order() -> None:
    assert (AccessLog, Refusals, Room, Known) == LAYERS


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
    """Wait for the line of a call: who is refused hears it before the call has ended."""
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


async def test_while_authentication_is_off_everybody_is_anonymous() -> None:
    assert current_principal() == "anonymous"
