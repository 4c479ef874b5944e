"""The callers: each function sends for some seconds and returns the answers per second."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import orjson
from google.protobuf.message import Message

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery.vibe.v1 import vibe_pb2

CALLERS = 32
AUTHOR = "main@system/genesis?1"
SOLUTION = orjson.dumps({"text": "x" * 186}).decode()
"""200 bytes."""


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refine_request() -> pb.RefineRequest:
    """One RECORD of 200 bytes under an id of its own."""
    draft = pb.Draft(
        type=vibe_pb2.VIBE_TYPE_RECORD,
        id=f"bench/{uuid.uuid4().hex}",
        solution=vibe_pb2.Document(json=SOLUTION),
    )
    return pb.RefineRequest(request_id=str(uuid.uuid4()), author_ref=AUTHOR, drafts=[draft])


async def rate(call: Callable[[], Awaitable[object]], seconds: float, callers: int = CALLERS) -> float:
    """Answers a second of a number of callers, each waiting for its answer before it calls again."""
    done, end = 0, time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(callers)))
    return done / (time.perf_counter() - start)


class Callers:
    """Channels to the server and to the echo beside it."""

    def __init__(self, port: int, echo_port: int) -> None:
        options = (("grpc.max_receive_message_length", 8 << 20),)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.echo_channel = grpc.aio.insecure_channel(f"127.0.0.1:{echo_port}", options=options)
        self.ledger = pb_grpc.LedgerServiceStub(self.channel)
        self.resolver = resolver_grpc.ResolverServiceStub(self.channel)

    async def unary_refines(self, seconds: float) -> float:
        """Refine, 32 callers."""
        return await rate(lambda: self.ledger.Refine(refine_request()), seconds)

    async def streamed_refines(self, seconds: float) -> float:
        """RefineStream, one stream."""
        done, end = 0, time.perf_counter() + seconds

        async def requests() -> AsyncIterator[pb.RefineStreamRequest]:
            while time.perf_counter() < end:
                yield pb.RefineStreamRequest(refine=refine_request())

        start = time.perf_counter()
        async for answer in self.ledger.RefineStream(requests()):
            assert answer.HasField("response"), answer
            done += 1
        return done / (time.perf_counter() - start)

    async def gets(self, ref: str, seconds: float) -> float:
        """GetVibe of one Vibe."""
        request = pb.GetVibeRequest(reference=ref)
        return await rate(lambda: self.ledger.GetVibe(request), seconds)

    async def resolves(self, ref: str, seconds: float) -> float:
        """ResolveSchema, bundled, of one schema."""
        request = resolver_pb.ResolveSchemaRequest(reference=ref)
        return await rate(lambda: self.resolver.ResolveSchema(request), seconds)

    async def echoes(self, message: Message, seconds: float) -> float:
        """The bare echo of a message, which is written and read as a message on both sides."""
        kind = type(message)
        call: grpc.aio.UnaryUnaryMultiCallable[Message, Message] = self.echo_channel.unary_unary(
            f"/bench.Echo/{kind.__name__}", kind.SerializeToString, kind.FromString
        )
        return await rate(lambda: call(message), seconds)

    async def lone_refines(self, count: int) -> tuple[float, float]:
        """Seconds of one Refine without other callers: the median and the 99th percentile."""
        times = []
        for _ in range(count):
            start = time.perf_counter()
            await self.ledger.Refine(refine_request())
            times.append(time.perf_counter() - start)
        times.sort()
        return times[count // 2], times[count * 99 // 100]

    async def walk(self, ref: str) -> tuple[int, float]:
        """TraceLineage: Vibes reached, and seconds."""
        start, reached = time.perf_counter(), 0
        request = pb.TraceLineageRequest(reference=ref, max_vibes=20_000)
        async for part in self.ledger.TraceLineage(request):
            reached += len(part.steps)
        return reached, time.perf_counter() - start

    async def close(self) -> None:
        """Close the channels."""
        await self.channel.close()
        await self.echo_channel.close()
