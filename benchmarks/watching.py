"""Measures the cost of watches: 50 refines a second, beside none and beside many in another process."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from benchmarks.load import refine_request
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc

WATCHES = 200
OVER_ONE_CONNECTION = 50
REFINES_A_SECOND = 50
SECONDS = 6.0
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
METHOD = "/refinery.ledger.v1.LedgerService/WatchVibes"


async def report(address: str) -> None:
    """Print the median of a refine without watches and with them, in alternating rounds."""
    print("\nBeside watches, 50 refines a second:\n")
    print("| watches | a refine, p50 | answers that the watches were sent |")
    print("| --- | --- | --- |")
    for _ in range(2):
        for count in (0, WATCHES):
            async with _watched(address, count) as sent:
                median = await _refines(address)
            share = f"{100 * sent[0] / (count * REFINES_A_SECOND * SECONDS):.0f} %" if count else ""
            print(f"| {count} | {median * 1_000:.1f} ms | {share} |", flush=True)


async def _refines(address: str) -> float:
    seconds: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as group:
        ledger = pb_grpc.LedgerServiceStub(channel)

        async def one() -> None:
            start = time.perf_counter()
            await ledger.Refine(refine_request())
            seconds.append(time.perf_counter() - start)

        begin = time.perf_counter()
        for number in range(int(SECONDS * REFINES_A_SECOND)):
            await asyncio.sleep(max(0.0, begin + number / REFINES_A_SECOND - time.perf_counter()))
            group.create_task(one())
    return statistics.median(seconds)


@contextlib.asynccontextmanager
async def _watched(address: str, count: int) -> AsyncIterator[list[int]]:
    """Keep a number of watches open; afterwards the list holds the number of their answers."""
    sent = [0]
    command = [sys.executable, "-m", "benchmarks.watching", address, str(count)]
    # asyncio's own subprocesses and gRPC's threads wait for each other where one forks.
    with subprocess.Popen(  # noqa: ASYNC220 - it forks within a millisecond
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        await asyncio.to_thread(process.stdout.readline)
        yield sent
        out, _ = await asyncio.to_thread(process.communicate)
    sent[0] = int(out)


async def _watch(address: str, count: int) -> None:
    """Read the answers of a number of watches, as bytes, until the input ends."""
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=OWN_CONNECTION))
            for _ in range(1 + count // OVER_ONE_CONNECTION)
        ]
        made = await pb_grpc.LedgerServiceStub(channels[0]).Refine(refine_request())
        request = pb.WatchVibesRequest(after_position=made.refinement.position - 1).SerializeToString()
        calls: list[Any] = [
            channels[number // OVER_ONE_CONNECTION].unary_stream(METHOD)(request)  # type: ignore[arg-type]
            for number in range(count)
        ]
        for call in calls:
            await call.read()
        heard = 0

        async def read(call: Any) -> None:
            nonlocal heard
            while await call.read() is not grpc.aio.EOF:
                heard += 1

        reading = [asyncio.create_task(read(call)) for call in calls]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(heard, flush=True)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_watch(sys.argv[1], int(sys.argv[2])))
