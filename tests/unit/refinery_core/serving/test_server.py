from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from refinery_core.errors import Draining
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import serve
from refinery_core.settings import CannotStart
from tests.support.waiting import PATIENCE, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_answers_under_both_names(server: Any, version: str) -> None:
    ask = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services="*"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="refinery.ledger.v1.LedgerService"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="google.rpc.ErrorInfo"),
        reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="refinery.ledger.v1.LedgerService.Refine"
        ),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="refinery.ledger.v1.LedgerService.No"),
    ]

    services, contract, details, method, unknown = [answer async for answer in ask(iter(questions))]

    assert {service.name for service in services.list_services_response.service} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "refinery.ledger.v1.LedgerService",
    }
    assert contract.file_descriptor_response.file_descriptor_proto
    assert details.file_descriptor_response.file_descriptor_proto
    assert method.file_descriptor_response == contract.file_descriptor_response
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_health_follows_readiness_for_the_server_and_each_service(run: Any) -> None:
    ready: bool | Exception = True

    async def readiness() -> bool:
        if isinstance(ready, Exception):
            raise ready
        return ready

    async with run(readiness=readiness) as server:
        health = health_pb2_grpc.HealthStub(server.channel)

        async def is_now(status: int) -> bool:
            names = ("", "refinery.ledger.v1.LedgerService")
            answers = [await health.Check(health_pb2.HealthCheckRequest(service=name)) for name in names]
            return all(answer.status == status for answer in answers)

        await until(lambda: is_now(SERVING))
        ready = ConnectionRefusedError("the database is away")
        await until(lambda: is_now(NOT_SERVING))
        ready = True
        await until(lambda: is_now(SERVING))
        assert dict((await health.List(health_pb2.HealthListRequest())).statuses).keys() == {
            "",
            "refinery.ledger.v1.LedgerService",
        }


async def test_health_of_an_unknown_service_is_not_found(server: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_pb2_grpc.HealthStub(server.channel).Check(
            health_pb2.HealthCheckRequest(service="refinery.Unknown")
        )

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_who_watches_health_hears_of_the_stop_and_does_not_delay_it(run: Any) -> None:
    async with run(grace_seconds=PATIENCE) as server:
        call = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest())
        heard = aiter(call)
        while (await anext(heard)).status != SERVING:
            pass

        start = time.monotonic()
        server.drain.ask()
        assert [answer.status async for answer in heard] == [NOT_SERVING]
        await server.ended
        assert time.monotonic() - start < PATIENCE / 2


async def test_a_drain_ends_streams_with_draining_and_lets_calls_finish(run: Any) -> None:
    async with run() as server:
        watching = aiter(server.watch())
        assert (await anext(watching)).request_id == "first"
        waiting = asyncio.create_task(server.one("wait"))

        async def both_run() -> bool:
            return bool(server.shapes.entered == 2)

        await until(both_run)
        server.drain.ask()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(watching)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert caught.value.details() == Draining().message
        server.shapes.release.set()
        assert await waiting == "wait"
        await server.ended


async def test_a_call_that_outlives_the_grace_is_cut(run: Any) -> None:
    async with run(grace_seconds=0.05) as server:
        waiting = asyncio.create_task(server.one("wait"))

        async def runs() -> bool:
            return bool(server.shapes.entered == 1)

        await until(runs)
        server.drain.ask()
        await asyncio.wait_for(server.ended, PATIENCE)

        with pytest.raises(grpc.aio.AioRpcError):
            await waiting


def literal(name: bytes, value: bytes) -> bytes:
    """A header as HTTP/2 writes it without remembering it."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call_of(method: bytes) -> bytes:
    """A whole connection with one call in it, of a method whose name no client of gRPC would send."""
    headers = {b":method": b"POST", b":scheme": b"http", b":path": method, b":authority": b"x"}
    headers |= {b"te": b"trailers", b"content-type": b"application/grpc"}
    block = b"".join(literal(name, value) for name, value in headers.items())
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, block)


async def test_a_method_whose_name_is_no_text_is_survived(run: Any) -> None:
    """It ends grpcio's server; another one takes its place, on the same port, with the calls after it."""

    async def answers() -> bool:
        try:
            return bool(await server.one("a") == "a")
        except grpc.aio.AioRpcError:
            return False

    async with run(capacity=Capacity(calls=1)) as server:
        for _ in range(2):
            running = asyncio.create_task(server.one("wait"))
            await until(lambda: server.shapes.entered > server.shapes.left)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(call_of(b"/a\xff\xfe/b"))
            await reader.read()
            writer.close()

            with pytest.raises(grpc.aio.AioRpcError):
                await running
            await until(answers)
        assert not server.ended.done()


async def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for listen in (f"127.0.0.1:{port}", f"localhost:{port}", f"0.0.0.0:{port}"):
            with pytest.raises(CannotStart, match=f"Cannot listen on {listen}: the port is taken"):
                await serve([], listen=listen, drain=Drain())


@pytest.mark.parametrize("listen", ["50051", "localhost", "localhost:x", "localhost:70000"])
async def test_an_address_that_is_none_is_one_clear_sentence(listen: str) -> None:
    with pytest.raises(CannotStart, match="write it as HOST:PORT"):
        await serve([], listen=listen, drain=Drain())


async def test_waiting_for_a_result_ends_with_the_drain() -> None:
    drain = Drain()
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def short() -> str:
        return "done"

    assert await drain.or_result(short()) == "done"
    waiting = asyncio.create_task(drain.or_result(long()))
    await asyncio.sleep(0)
    drain.begin()
    with pytest.raises(Draining):
        await waiting
    assert ended.is_set()


PROGRAM = """
import sys
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import run, serve

async def main():
    await serve([], listen=sys.argv[1], drain=Drain(), started=lambda port: print(port, flush=True))

run(main)
"""


@pytest.mark.parametrize("uvloop", ["1", "0"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_politely(number: signal.Signals, uvloop: str) -> None:
    environ = {**os.environ, "REFINERY_UVLOOP": uvloop}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.send_signal(number)
        assert process.wait(10) == 0


def test_what_it_cannot_start_with_is_a_sentence_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, listen], capture_output=True, text=True, check=False, timeout=20
        )

    assert ended.returncode == 1
    assert ended.stderr == (
        f"Cannot listen on {listen}: the port is taken; stop what uses it, or choose another.\n"
    )


async def test_a_problem_that_turns_into_another_one_is_told_as_well(run: Any) -> None:
    problem = "the first"

    async def readiness() -> bool:
        raise LookupError(problem)

    def told(lines: list[Any]) -> list[str]:
        return [line["problem"] for line in lines if line["event"] == "not ready"]

    with structlog.testing.capture_logs() as lines:
        async with run(readiness=readiness):
            await until(lambda: told(lines))
            problem = "the second"
            await until(lambda: len(told(lines)) > 1)
    assert told(lines) == ["LookupError('the first')", "LookupError('the second')"]
