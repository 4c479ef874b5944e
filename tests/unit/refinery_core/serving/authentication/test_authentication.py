from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY

from refinery_client.refusals import refusal_from
from refinery_core.serving.authentication.tokens import EXPIRED, LEEWAY_SECONDS
from refinery_core.serving.capacity import Capacity
from tests.support.issuing import ISSUER
from tests.support.waiting import until
from tests.unit.refinery_core.serving.conftest import ANSWER, PATH, REQUEST, asked


def soon(seconds: int) -> int:
    """An `exp` with which a token is taken for so many seconds more."""
    return int(time.time()) + seconds - LEEWAY_SECONDS


async def test_health_is_answered_for_everybody_and_reflection_is_not(ask: Any) -> None:
    async with ask() as asking:
        health = health_pb2_grpc.HealthStub(asking.server.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status
        reflection = reflection_pb2_grpc.ServerReflectionStub(asking.server.channel)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(reflection.ServerReflectionInfo(iter([question]))))
        assert refusal_from(caught.value).reason == "UNAUTHENTICATED"
        metadata = (("authorization", f"Bearer {asking.issuing.token()}"),)
        answer = await anext(aiter(reflection.ServerReflectionInfo(iter([question]), metadata=metadata)))
        assert answer.list_services_response.service


@pytest.mark.parametrize("shape", ["One", "Many", "Gathered", "Each", "Watch", "Unheard"])
async def test_each_shape_of_call_is_asked_who_calls(ask: Any, shape: str) -> None:
    async with ask() as asking:
        channel, streams = asking.server.channel, shape in {"Gathered", "Each", "Unheard"}
        kind = f"{'stream' if streams else 'unary'}_{'unary' if shape in {'One', 'Gathered'} else 'stream'}"
        call = getattr(channel, kind)(PATH + shape, REQUEST.SerializeToString, ANSWER.FromString)
        answer = call(iter([asked("a")]) if streams else asked("a"), timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (answer if kind.endswith("_unary") else anext(aiter(answer)))
        assert refusal_from(caught.value).reason == "UNAUTHENTICATED"
        assert asking.server.shapes.entered == 0


async def test_what_there_is_no_room_for_is_refused_before_anybody_is_asked(run: Any, ask: Any) -> None:
    async with ask() as asking:
        with structlog.testing.capture_logs() as lines:
            await asking.refusal("Bearer x")
            await until(lambda: [line for line in lines if line["event"] == "call"])
        (line,) = [line for line in lines if line["event"] == "call"]
        assert (line["principal"], line["reason"]) == ("unknown", "UNAUTHENTICATED")
    async with ask(capacity=Capacity(calls=0)) as asking:
        assert (await asking.refusal("Bearer x")).reason == "OVERLOADED"


async def test_a_refusal_is_counted(ask: Any) -> None:
    def refused() -> float:
        return REGISTRY.get_sample_value("refinery_refusals_total", {"reason": "UNAUTHENTICATED"}) or 0

    before = refused()
    async with ask() as asking:
        await asking.refusal("Bearer x")
        await until(lambda: refused() == before + 1)


async def test_the_log_names_the_caller_and_nobody_sees_the_token(ask: Any) -> None:
    async with ask() as asking:
        token = asking.issuing.token()
        with structlog.testing.capture_logs() as lines:
            await asking.call(f"Bearer {token}")
            await asking.refusal(f"Bearer {token[:-8]}AAAAAAAA")
            await until(lambda: len([line for line in lines if line["event"] == "call"]) == 2)
        assert lines[0]["principal"] == f"jwt:{ISSUER}#ada"
        assert all(part[:20] not in str(lines) for part in token.split("."))


async def test_a_stream_ends_when_the_token_of_its_caller_expires(ask: Any) -> None:
    async with ask() as asking:
        metadata = (("authorization", f"Bearer {asking.issuing.token(exp=soon(4))}"),)
        channel, shapes = asking.server.channel, asking.server.shapes
        watch = channel.unary_stream(PATH + "Watch", REQUEST.SerializeToString, ANSWER.FromString)
        watching = aiter(watch(asked("watch"), metadata=metadata))
        assert (await anext(watching)).request_id == "first"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(watching)
        assert refusal_from(caught.value).message == f"The caller is not known: {EXPIRED}."
        assert (shapes.entered, shapes.left) == (1, 1)


async def test_a_stream_whose_caller_reads_late_ends_as_well(ask: Any) -> None:
    async with ask() as asking:
        shapes, served = asking.server.shapes, 0

        def large(request: Any) -> Any:
            nonlocal served
            served += 1
            return ANSWER(request_id="x" * (1 << 20))

        async def endless() -> Any:
            for _ in range(50):
                yield asked("a")
            await asyncio.Event().wait()

        shapes._answer = large
        metadata = (("authorization", f"Bearer {asking.issuing.token(exp=soon(4))}"),)
        channel = asking.server.channel
        each = channel.stream_stream(PATH + "Each", REQUEST.SerializeToString, ANSWER.FromString)
        call = each(endless(), metadata=metadata)
        one = channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)

        async def has_expired() -> bool:
            try:
                await one(asked("a"), metadata=metadata)
            except grpc.aio.AioRpcError:
                return True
            return False

        await until(has_expired)
        before = served
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await call.read() is not grpc.aio.EOF:
                pass
        assert refusal_from(caught.value).reason == "UNAUTHENTICATED"
        assert served == before


async def test_a_call_that_has_begun_is_answered_though_its_token_expires(ask: Any) -> None:
    async with ask() as asking:
        shapes = asking.server.shapes
        metadata = (("authorization", f"Bearer {asking.issuing.token(exp=soon(4))}"),)
        one = asking.server.channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)
        waiting = asyncio.create_task(_answer(one(asked("wait"), metadata=metadata, timeout=60)))

        async def has_expired() -> bool:
            try:
                await one(asked("a"), metadata=metadata)
            except grpc.aio.AioRpcError:
                return True
            return False

        await until(has_expired)
        shapes.release.set()
        assert await waiting == "wait"


async def _answer(call: Any) -> str:
    return str((await call).request_id)
