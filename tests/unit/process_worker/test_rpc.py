from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, descriptor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.rpc import call
from process_worker.engine.calls import GrpcCall
from process_worker.engine.faults import Fault

HEALTH = "grpc.health.v1.Health"
LOOPBACK = Gateway.of("127.0.0.1")


def serve(*, reflects: bool, servicer: health.HealthServicer | None = None) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = servicer or health.HealthServicer()
    servicer.set("known", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if reflects:
        reflection.enable_server_reflection([HEALTH], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


@pytest.fixture(params=[True, False], ids=["reflects", "does not reflect"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, Any]]:
    """The port of a server, and the descriptor that a call of it needs."""
    server, port = serve(reflects=request.param)
    files = FileDescriptorSet()
    health_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    yield port, None if request.param else {"base64": base64.b64encode(files.SerializeToString()).decode()}
    server.stop(None).wait()


def ask(port: int, method: str = "Check", **arguments: Any) -> GrpcCall:
    return GrpcCall(HEALTH, method, "127.0.0.1", port, arguments)


async def test_a_method_is_called(server: tuple[int, Any]) -> None:
    port, descriptor = server
    assert await call(LOOPBACK, ask(port, service="known"), {}, descriptor) == {"status": "SERVING"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"service": "unknown"}, 404),
        ({"odd": 1}, 400),
        ({"method": "Nothing"}, 400),
        ({"method": "Watch"}, 400),
    ],
)
async def test_what_fails_is_an_error(server: tuple[int, Any], asked: dict[str, Any], status: int) -> None:
    port, descriptor = server
    with pytest.raises(Fault) as caught:
        await call(LOOPBACK, ask(port, **asked), {}, descriptor)
    assert caught.value.problem.status == status


async def test_a_host_that_is_not_allowed_is_not_called(server: tuple[int, Any]) -> None:
    port, descriptor = server
    with pytest.raises(Fault) as caught:
        await call(Gateway.of("example.com"), ask(port), {}, descriptor)
    assert caught.value.problem.status == 403


class _Silent(health.HealthServicer):  # type: ignore[misc]  # it has no types
    """A servicer that answers nothing, and notices when its caller has gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.left = threading.Event(), threading.Event()

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 -- gRPC's name
        context.add_callback(self.left.set)
        self.asked.set()
        assert self.left.wait(20)
        return health_pb2.HealthCheckResponse()


async def test_who_no_longer_waits_hangs_up() -> None:
    silent = _Silent()
    server, port = serve(reflects=True, servicer=silent)
    try:
        calling = asyncio.ensure_future(call(LOOPBACK, ask(port), {}, None))
        assert await asyncio.to_thread(silent.asked.wait, 10)
        calling.cancel()
        assert await asyncio.to_thread(silent.left.wait, 10)
        with pytest.raises(asyncio.CancelledError):
            await calling
    finally:
        server.stop(None).wait()


async def answered(file: descriptor_pb2.FileDescriptorProto, kind: str, content: bytes) -> Any:
    """The output of calling a method that returns messages of this kind, with this content."""
    file.service.add(name="Odd").method.add(name="Get", input_type=kind, output_type=kind)
    asked: list[None] = []

    def answer(*_: Any) -> bytes:
        asked.append(None)
        return content

    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Odd", {"Get": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    any_pb2_file = descriptor_pb2.FileDescriptorProto()
    any_pb2.DESCRIPTOR.CopyToProto(any_pb2_file)
    files = FileDescriptorSet(file=[any_pb2_file, file]).SerializeToString()
    try:
        odd = GrpcCall("tests.Odd", "Get", "127.0.0.1", port)
        return await call(LOOPBACK, odd, {}, {"base64": base64.b64encode(files).decode()})
    finally:
        server.stop(None).wait()
        assert len(asked) == 1


def odd_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="odd.proto", package="tests", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    file.message_type.add(name="Text").field.add(name="text", number=1, type=9, label=1)
    return file


async def test_an_answer_that_is_too_large_is_a_clear_fault() -> None:
    with pytest.raises(Fault) as caught:
        await answered(odd_file(), ".tests.Text", b"x" * 2_000_000)
    assert (caught.value.problem.status, caught.value.problem.title) == (429, "RESOURCE_EXHAUSTED")


async def test_any_message_that_the_server_describes_can_be_in_an_answer() -> None:
    content = any_pb2.Any(type_url="type.googleapis.com/tests.Text", value=b"\x0a\x02hi")
    found = await answered(odd_file(), ".google.protobuf.Any", content.SerializeToString())
    assert found == {"@type": "type.googleapis.com/tests.Text", "text": "hi"}


async def test_a_message_that_nobody_describes_is_a_clear_fault() -> None:
    content = any_pb2.Any(type_url="type.googleapis.com/nobody.Knows", value=b"x")
    with pytest.raises(Fault, match="the answer cannot be read") as caught:
        await answered(odd_file(), ".google.protobuf.Any", content.SerializeToString())
    assert caught.value.problem.status == 502
