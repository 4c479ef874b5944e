"""Runs the cases of limits.py, with a probe beside each: a client that refines small RECORDs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final

import grpc

from benchmarks.limits import CASES, GROWING, connected, draft, prepare, request
from benchmarks.memory import forget_peak, peak
from refinery.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc

PROBE_SECONDS: Final = 10.0


@asynccontextmanager
async def probing(address: str) -> AsyncIterator[list[float]]:
    """
    Refine small RECORDs meanwhile; the seconds that each took, from before the body runs until after it.

    Raises:
        grpc.aio.AioRpcError: One of them was not answered.
    """
    seconds: list[float] = []
    answered = asyncio.Event()
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        ledger = ledger_grpc.LedgerServiceStub(channel)

        async def probe() -> None:
            while True:
                start = time.perf_counter()
                await ledger.Refine(request([draft(solution=1)]), timeout=PROBE_SECONDS)
                seconds.append(time.perf_counter() - start)
                answered.set()

        async def next_answer() -> None:
            answered.clear()
            waiting = asyncio.ensure_future(answered.wait())
            await asyncio.wait([waiting, probes], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if probes.done():
                await probes

        probes = asyncio.create_task(probe())
        try:
            await next_answer()
            yield seconds
            await next_answer()
        finally:
            probes.cancel()
            await asyncio.gather(probes, return_exceptions=True)


async def report(address: str, owner_url: str, server: int) -> None:
    """Print the time of each case, the worst of its probe, and the peak memory of the server."""
    async with connected(address, address) as limits:
        await prepare(limits, owner_url)
        print("\nAt the limits:\n")
        print("| what | seconds | the probe's worst | memory of the server |")
        print("| --- | --- | --- | --- |")
        for what, case in CASES.items():
            forget_peak(server)
            async with probing(address) as probed:
                start = time.perf_counter()
                await case(limits)
                seconds = time.perf_counter() - start
            print(
                f"| {what} | {seconds:.2f} | {max(probed) * 1_000:,.0f} ms | {peak(server):,.0f} MiB |",
                flush=True,
            )
        print("\nGrowth to the limit:\n")
        print("| what | a quarter | a half | all of it | growth from a quarter |")
        print("| --- | --- | --- | --- | --- |")
        for what, (grow, limit) in GROWING.items():
            took = [min([await _timed(grow(limits, count)) for _ in range(3)]) for count in _parts(limit)]
            cells = " | ".join(f"{seconds:.2f} s" for seconds in took)
            print(f"| {limit:,} {what} | {cells} | {took[2] / took[0]:.1f} |", flush=True)


def _parts(limit: int) -> tuple[int, int, int]:
    return limit // 4, limit // 2, limit


async def _timed(work: Awaitable[None]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start
