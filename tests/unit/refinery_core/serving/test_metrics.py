from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from refinery_core.errors import VibeNotFound
from refinery_core.serving.metrics import exposed
from refinery_core.settings import CannotStart
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

SERVICE = "refinery.ledger.v1.LedgerService"


def handled(method: str, code: str) -> float:
    labels = {"grpc_service": SERVICE, "grpc_method": method, "grpc_code": code}
    return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0


def timed(method: str) -> float:
    labels = {"grpc_service": SERVICE, "grpc_method": method}
    return REGISTRY.get_sample_value("grpc_server_handling_seconds_count", labels) or 0


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("refinery_refusals_total", {"reason": reason}) or 0


async def test_each_call_is_counted_as_it_ended(server: Any) -> None:
    server.shapes.error = VibeNotFound(reference="aug:/x")
    before = [handled("One", "OK"), handled("One", "NOT_FOUND"), refused("VIBE_NOT_FOUND"), timed("One")]
    await server.one("a")
    await server.one("b")
    with pytest.raises(grpc.aio.AioRpcError):
        await server.one("refuse")
    async with asyncio.timeout(PATIENCE):
        while handled("One", "NOT_FOUND") == before[1]:  # Who is refused hears it before the call has ended.
            await asyncio.sleep(0.005)
    after = [handled("One", "OK"), handled("One", "NOT_FOUND"), refused("VIBE_NOT_FOUND"), timed("One")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 1, 3]


async def test_a_stream_is_counted_and_not_timed(server: Any) -> None:
    before = handled("Many", "OK")
    await server.many("a")
    assert (handled("Many", "OK") - before, timed("Many")) == (1, 0)


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


async def test_they_are_served_where_it_is_said_and_no_longer_than_that(server: Any) -> None:
    await server.one("a")
    port = free_port()
    with exposed(f"127.0.0.1:{port}"):
        told = await asyncio.to_thread(scraped, port)
    assert f'grpc_server_handled_total{{grpc_code="OK",grpc_method="One",grpc_service="{SERVICE}"}}' in told
    assert "process_resident_memory_bytes" in told or sys.platform != "linux"
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(scraped, port)


@pytest.mark.parametrize("listen", ["9090", ":9090", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(CannotStart, match="write it as HOST:PORT"), exposed(listen):
        pass


def test_a_service_whose_metrics_nobody_could_read_does_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "ledger_service"],
            env={**os.environ, "REFINERY_METRICS_LISTEN": listen},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"Cannot serve metrics on {listen}: Address already in use.\n"
