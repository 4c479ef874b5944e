"""A real server on a free port with a small service that has all four call shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.serving.authentication.authenticating import OPEN, Authentication
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.connections import Connections
from refinery_core.serving.drain import Drain
from refinery_core.serving.health import Readiness
from refinery_core.serving.server import Patience, Service
from refinery_core.serving.tls import Tls
from tests.support.serving import served

REQUEST = pb.RefineStreamRequest
ANSWER = pb.RefineStreamResponse


class Shapes:
    """Echoes the request; raises `error` for the request "refuse"."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.error: Exception = RuntimeError("unset")
        self.entered = 0
        self.left = 0
        self.release = asyncio.Event()

    def _answer(self, request: pb.RefineStreamRequest) -> pb.RefineStreamResponse:
        word = request.refine.request_id
        if word == "refuse":
            raise self.error
        if word == "huge":
            return ANSWER(request_id="x" * (5 << 20))
        return ANSWER(request_id=word)

    async def one(self, request: pb.RefineStreamRequest, context: Any) -> pb.RefineStreamResponse:
        if request.refine.request_id == "wait":
            self.entered += 1
            try:
                await self.release.wait()
            finally:
                self.left += 1
        return self._answer(request)

    async def many(
        self, request: pb.RefineStreamRequest, context: Any
    ) -> AsyncIterator[pb.RefineStreamResponse]:
        for _ in range(3):
            yield ANSWER(request_id="before")
        yield self._answer(request)

    async def gathered(self, requests: AsyncIterator[pb.RefineStreamRequest], context: Any) -> Any:
        answers = [self._answer(request) async for request in requests]
        return ANSWER(request_id="+".join(answer.request_id for answer in answers))

    async def each(
        self, requests: AsyncIterator[pb.RefineStreamRequest], context: Any
    ) -> AsyncIterator[pb.RefineStreamResponse]:
        async for request in requests:
            yield self._answer(request)

    async def watch(
        self, request: pb.RefineStreamRequest, context: Any
    ) -> AsyncIterator[pb.RefineStreamResponse]:
        self.entered += 1
        try:
            yield ANSWER(request_id="first")
            yield await self.drain.or_result(self._never())
        finally:
            self.left += 1

    async def _never(self) -> pb.RefineStreamResponse:
        await asyncio.Event().wait()
        return ANSWER()

    def add(self, server: grpc.aio.Server) -> None:
        codec = (REQUEST.FromString, ANSWER.SerializeToString)
        methods = {
            "One": grpc.unary_unary_rpc_method_handler(self.one, *codec),
            "Many": grpc.unary_stream_rpc_method_handler(self.many, *codec),
            "Gathered": grpc.stream_unary_rpc_method_handler(self.gathered, *codec),
            "Each": grpc.stream_stream_rpc_method_handler(self.each, *codec),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, *codec),
        }
        handler = grpc.method_handlers_generic_handler("refinery.ledger.v1.LedgerService", methods)
        server.add_generic_rpc_handlers((handler,))


@dataclass
class Running:
    """A server that runs, and a channel to it."""

    port: int
    channel: grpc.aio.Channel
    shapes: Shapes
    drain: Drain
    ended: asyncio.Task[None]

    async def one(self, word: str, *, seconds: float = 10) -> str:
        call = self.channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)
        return (await call(asked(word), timeout=seconds)).request_id

    async def many(self, word: str) -> list[str]:
        call = self.channel.unary_stream(PATH + "Many", REQUEST.SerializeToString, ANSWER.FromString)
        return [answer.request_id async for answer in call(asked(word), timeout=10)]

    async def gathered(self, *words: str) -> str:
        call = self.channel.stream_unary(PATH + "Gathered", REQUEST.SerializeToString, ANSWER.FromString)
        return (await call(iter([asked(word) for word in words]), timeout=10)).request_id

    async def each(self, *words: str) -> list[str]:
        call = self.channel.stream_stream(PATH + "Each", REQUEST.SerializeToString, ANSWER.FromString)
        return [answer.request_id async for answer in call(iter([asked(w) for w in words]), timeout=10)]

    def watch(self) -> Any:
        call = self.channel.unary_stream(PATH + "Watch", REQUEST.SerializeToString, ANSWER.FromString)
        return call(asked("watch"), timeout=10)


PATH = "/refinery.ledger.v1.LedgerService/"


def asked(word: str) -> pb.RefineStreamRequest:
    return REQUEST(refine=pb.RefineRequest(request_id=word))


async def _ready() -> bool:
    return True


@asynccontextmanager
async def running(
    *,
    capacity: Capacity | None = None,
    readiness: Readiness = _ready,
    grace_seconds: float = 5.0,
    connections: Connections | None = None,
    client_options: Sequence[tuple[str, int]] = (),
    drain: Drain | None = None,
    tls: Tls | None = None,
    health_listen: str | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    authentication: Authentication = OPEN,
) -> AsyncIterator[Running]:
    drain = drain or Drain()
    shapes = Shapes(drain)
    async with (
        served(
            Service("refinery.ledger.v1.LedgerService", shapes.add),
            tls=tls,
            health_listen=health_listen,
            drain=drain,
            readiness=readiness,
            capacity=capacity,
            patience=Patience(
                grace_seconds, linger_seconds=0.02, readiness_every_seconds=0.01, tls_every_seconds=0.01
            ),
            connections=connections,
            authentication=authentication,
        ) as server,
        (
            grpc.aio.secure_channel(server.address, credentials, client_options)
            if credentials
            else grpc.aio.insecure_channel(server.address, client_options)
        ) as channel,
    ):
        yield Running(server.port, channel, shapes, drain, server.ended)


Run = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def run() -> Run:
    return running


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with running() as one:
        yield one
