from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from prometheus_client import REGISTRY

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_client.refusals import refusal_from
from refinery_core.errors import MessageTooLarge, VibeNotFound
from refinery_core.serving.around import MOST_RECEIVED_BYTES, Around, Call
from refinery_core.serving.capacity import Capacity
from refinery_core.wire import MAX_MESSAGE_BYTES
from tests.support.waiting import PATIENCE

PATH = "/refinery.ledger.v1.LedgerService/"


def reason_of(error: grpc.aio.AioRpcError) -> str:
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            info = ErrorInfo()
            assert Status.FromString(value).details[0].Unpack(info)
            return str(info.reason)
    return ""


async def test_all_four_call_shapes_answer(server: Any) -> None:
    assert await server.one("a") == "a"
    assert await server.many("a") == ["before", "before", "before", "a"]
    assert await server.gathered("a", "b") == "a+b"
    assert await server.each("a", "b") == ["a", "b"]


@pytest.mark.parametrize("shape", ["one", "many", "gathered", "each"])
async def test_a_refusal_has_its_code_and_reason_in_every_shape(server: Any, shape: str) -> None:
    server.shapes.error = VibeNotFound(reference="main@x?1")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(server, shape)("refuse")

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "No Vibe is named 'main@x?1' in this context."
    assert reason_of(caught.value) == "VIBE_NOT_FOUND"


async def test_a_refusal_midway_in_a_stream_comes_after_the_answers_before_it(server: Any) -> None:
    server.shapes.error = VibeNotFound(reference="x")
    call = server.channel.unary_stream(
        PATH + "Many", pb.RefineStreamRequest.SerializeToString, pb.RefineStreamResponse.FromString
    )
    got: list[str] = []

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for answer in call(pb.RefineStreamRequest(refine=pb.RefineRequest(request_id="refuse"))):
            got.append(answer.request_id)  # noqa: PERF401 -- what came before the refusal counts

    assert got == ["before"] * 3
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


MALFORMED = {
    "truncated": b"\x0a\xff",
    "bad UTF-8": pb.RefineStreamRequest(refine=pb.RefineRequest(request_id="ab"))
    .SerializeToString()
    .replace(b"ab", b"\xff\xfe"),
    "bad tag": b"\xff" * 12,
    "too deep": b"\x0a\x02" * 200,
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_message_is_an_invalid_argument(server: Any, raw: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.channel.unary_unary(PATH + "One")(raw)

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MALFORMED_REQUEST"


async def test_a_malformed_message_inside_a_stream_is_one_too(server: Any) -> None:
    good = pb.RefineStreamRequest(refine=pb.RefineRequest(request_id="a")).SerializeToString()
    answers: list[bytes] = []

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for answer in server.channel.stream_stream(PATH + "Each")(iter([good, MALFORMED["truncated"]])):
            answers.append(answer)  # noqa: PERF401 -- what came before the refusal counts

    assert len(answers) == 1
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MALFORMED_REQUEST"


@pytest.mark.parametrize("shape", ["one", "many"])
async def test_a_request_beyond_the_limit_is_refused_with_a_reason(server: Any, shape: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(server, shape)("x" * MAX_MESSAGE_BYTES)

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    refusal = refusal_from(caught.value)
    assert isinstance(refusal, MessageTooLarge)
    assert refusal.metadata == {"limit": str(MAX_MESSAGE_BYTES)}


async def test_a_request_far_beyond_the_limit_is_refused_by_grpc(server: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.one("x" * MOST_RECEIVED_BYTES)

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await server.one("still here") == "still here"


async def test_an_oversized_answer_is_refused_before_it_is_sent(server: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.one("huge")

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(caught.value) == "ANSWER_TOO_LARGE"


@pytest.mark.parametrize("method", [PATH + "Delete", "/refinery.ledger.v9.LedgerService/One", "/", "/a/b/c"])
async def test_an_unknown_method_is_refused_in_every_shape_with_a_reason(server: Any, method: str) -> None:
    channel = server.channel
    for call in (
        channel.unary_unary(method)(b""),
        aiter(channel.unary_stream(method)(b"")).__anext__(),
        channel.stream_unary(method)(iter([b"", b""])),
        aiter(channel.stream_stream(method)(iter([b""]))).__anext__(),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert reason_of(caught.value) == "UNKNOWN_METHOD"


async def test_unknown_methods_are_counted_under_one_name_and_not_kept(server: Any) -> None:
    def series() -> int:
        return sum(1 for metric in REGISTRY.collect() for _ in metric.samples)

    for number in range(2):
        before = series()
        for name in range(50):
            with pytest.raises(grpc.aio.AioRpcError):
                await server.channel.unary_unary(f"/nobody.{number}/Knows{name}")(b"")
    assert series() == before


async def test_a_cancelled_stream_unwinds_at_once(server: Any) -> None:
    call = server.watch()
    await anext(aiter(call))
    assert server.shapes.entered - server.shapes.left == 1

    call.cancel()
    async with asyncio.timeout(PATIENCE):
        while server.shapes.left == 0:
            await asyncio.sleep(0.005)


async def test_layers_run_outermost_first_and_are_put_together_once_a_method() -> None:
    seen: list[str] = []

    def named(name: str) -> Any:
        @asynccontextmanager
        async def layer(call: Call) -> AsyncIterator[None]:
            seen.append(f"{name} in")
            yield
            seen.append(f"{name} out")

        return layer

    async def act(raw: bytes, context: Any) -> bytes:
        seen.append("act")
        return raw

    server = grpc.aio.server(interceptors=(Around((named("outer"), named("inner")), Capacity()),))
    handler = grpc.method_handlers_generic_handler("t.T", {"Act": grpc.unary_unary_rpc_method_handler(act)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/t.T/Act")
            assert await call(b"x") == b"x"
    finally:
        await server.stop(1)

    assert seen == ["outer in", "inner in", "act", "inner out", "outer out"]
