"""Measures the time of `refinery verify`, and the memory of its process and children together."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.memory import peak

if TYPE_CHECKING:
    from benchmarks.__main__ import Bench

SECONDS_BETWEEN_LOOKS = 0.2


async def measure(bench: Bench) -> None:
    url = bench.postgres.url(bench.database, "refinery_reader")
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "refinery_cli", "verify", "--url", url, stdout=asyncio.subprocess.DEVNULL
    )
    peaks: dict[int, float] = {}
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        peaks |= {pid: most for pid in _with_children(process.pid) if (most := peak(pid))}
        await asyncio.wait([ended], timeout=SECONDS_BETWEEN_LOOKS)
    if ended.result() != 0:
        raise SystemExit("the ledger of the benchmark is not sound")
    bench.took("refinery verify", time.perf_counter() - start, sum(peaks.values()), "≤ 200 MiB")


def _with_children(pid: int) -> list[int]:
    try:
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return [pid]
