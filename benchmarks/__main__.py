"""`make bench`: measures at 10^3 and at 10^6 Vibes, each pair alternating, and prints the table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import asyncpg
import grpc
import uvloop

from benchmarks import at_the_limits, processes, proof, secured, watching
from benchmarks.load import Callers, free_port, refine_request
from benchmarks.populate import populate
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.vibe.v1 import vibe_pb2
from refinery_cli.read.schema_drafts import plan
from refinery_cli.verbs.import_schemas import ids_of, read_schemas
from refinery_core.postgres.migrate import create_database, migrate
from refinery_local.postgres import EmbeddedPostgres

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1000,1000000").split(",")]
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LINEAGE = 10_000
HERE = Path(__file__).parent


@contextlib.contextmanager
def server(url: str, port: int, echo_port: int) -> Iterator[int]:
    """The process under measurement; its pid."""
    environment = {**os.environ, "REFINERY_DATABASE_URL": url, "REFINERY_LISTEN": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "benchmarks.server", str(echo_port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


class Bench:
    """One database of one size, and the table that grows."""

    def __init__(self, postgres: EmbeddedPostgres, database: str, callers: Callers, size: int) -> None:
        self.postgres, self.database, self.callers, self.size = postgres, database, callers, size
        self.figures: dict[str, float] = {}

    def rates(self, what: str, ours: float, against: str, theirs: float, target: str) -> None:
        """Print two rates a second; a ratio above 1 is good."""
        self.figures[what] = ours
        self._print(what, f"{ours:,.0f}/s", against, f"{theirs:,.0f}/s", f"**{ours / theirs:.2f}**", target)

    def times(self, what: str, ours: float, against: str, theirs: float, target: str) -> None:
        """Print two times in seconds; a ratio above 1 is good."""
        self.figures[what] = 1 / ours
        self._print(what, _shown(ours), against, _shown(theirs), f"**{theirs / ours:.2f}**", target)

    def _print(self, *cells: str) -> None:
        print(f"| {self.size:,} | {' | '.join(cells)} |", flush=True)

    def alone(self, what: str, seconds: float) -> None:
        """Print one figure that is compared only with itself at the other size."""
        self.figures[what] = 1 / seconds
        self._print(what, _shown(seconds), "", "", "", "")

    def took(self, what: str, seconds: float, mib: float, target: str) -> None:
        """Print the time of a whole run, and its peak memory."""
        self._print(what, f"{seconds:,.1f} s, {mib:,.0f} MiB", "", "", "", target)

    def rate(self, what: str, ours: float, target: str) -> None:
        """Print a rate that has a target of its own."""
        self._print(what, f"{ours:,.0f}/s", "", "", "", target)

    async def pair(
        self, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]
    ) -> tuple[float, float]:
        """Medians of alternating rounds."""
        results = [(await ours(), await theirs()) for _ in range(ROUNDS)]
        return statistics.median(a for a, _ in results), statistics.median(b for _, b in results)

    async def pgbench(self, script: str, clients: int, refines: int) -> float:
        """Refines a second of the ledger's own SQL."""
        command = [
            str(self.postgres.bin_dir / "pgbench"), "--no-vacuum", "--protocol=prepared",
            f"--client={clients}", "--jobs=2", f"--time={max(int(SECONDS), 1)}",
            f"--file={HERE / 'sql' / script}", self.postgres.url(self.database, "refinery_app"),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out = (await process.communicate())[0].decode()
        if process.returncode != 0:
            raise SystemExit(out)
        (line,) = (line for line in out.splitlines() if line.startswith("tps"))
        return float(line.split("=")[1].split()[0]) * refines

    # --- What is measured -----------------------------------------------------------------

    async def writes(self) -> None:
        """Refine and RefineStream against the SQL below them."""
        callers = self.callers
        ours, theirs = await self.pair(
            lambda: callers.unary_refines(SECONDS), lambda: self.pgbench("refine_one.sql", 32, 1)
        )
        self.rates("Refine, 32 callers", ours, "pgbench, 32 clients, 1 a call", theirs, "≥ 1.0")
        ours, theirs = await self.pair(
            lambda: callers.streamed_refines(SECONDS), lambda: self.pgbench("refine_fifty.sql", 1, 50)
        )
        self.rates("RefineStream", ours, "pgbench, 1 client, 50 a call", theirs, "≥ 0.5")
        median, worst = await callers.lone_refines(500)
        self.alone("one lone Refine, p50", median)
        self.alone("one lone Refine, p99", worst)

    async def reads(self, ref: str, schema: str) -> None:
        """GetVibe and hot ResolveSchema against an echo of the same answer in the same process."""
        callers = self.callers
        vibe = await callers.ledger.GetVibe(pb.GetVibeRequest(reference=ref))
        ours, theirs = await self.pair(
            lambda: callers.gets(ref, SECONDS), lambda: callers.echoes(vibe, SECONDS)
        )
        self.rates("GetVibe, 32 callers", ours, "bare echo of the answer", theirs, "≥ 0.7")
        answer = await callers.resolver.ResolveSchema(resolver_pb.ResolveSchemaRequest(reference=schema))
        ours, theirs = await self.pair(
            lambda: callers.resolves(schema, SECONDS), lambda: callers.echoes(answer, SECONDS)
        )
        self.rates("ResolveSchema, hot, 32 callers", ours, "bare echo of the answer", theirs, "≥ 0.7")

    async def cold(self, bom: str) -> None:
        """ResolveSchema of a schema that is in no cache, composed from the CycloneDX schemas."""
        for form, name in (
            (resolver_pb.SCHEMA_FORM_EMBEDDED, "embedded"),
            (resolver_pb.SCHEMA_FORM_BUNDLED, "bundled"),
        ):
            times = []
            for number in range(10):
                title = f"{name} {number} of {self.size}"
                ref = await self.schema("bench/cold", f'{{"title": "{title}", "$ref": "aug:{bom}"}}')
                request = resolver_pb.ResolveSchemaRequest(reference=ref, form=form)
                start = time.perf_counter()
                await self.callers.resolver.ResolveSchema(request)
                times.append(time.perf_counter() - start)
            self.alone(f"ResolveSchema of CycloneDX, cold, {name}", statistics.median(times))

    async def lineage(self) -> None:
        """TraceLineage of 10,000 Vibes against one recursive query."""
        top = await self.pyramid()
        sql = (files("benchmarks") / "sql" / "bare_lineage.sql").read_text()
        connection = await asyncpg.connect(self.postgres.url(self.database))
        await connection.execute("vacuum analyze")

        async def ours() -> float:
            reached, seconds = await self.callers.walk(top)
            assert reached >= LINEAGE, reached
            return seconds

        async def theirs() -> float:
            start = time.perf_counter()
            assert len(await connection.fetch(sql, top)) >= LINEAGE
            return time.perf_counter() - start

        await ours()
        seconds, bare = await self.pair(ours, theirs)
        await connection.close()
        self.times(f"TraceLineage of {LINEAGE:,}", seconds, "the bare recursive SQL", bare, "≥ 0.7")

    # --- What it is measured on -----------------------------------------------------------

    async def populate(self) -> None:
        """Fill the ledger up to the size."""
        connection = await asyncpg.connect(self.postgres.url(self.database))
        await populate(connection, self.size)
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
        await connection.close()

    async def schema(self, id_: str, text: str) -> str:
        """Refine one schema."""
        request = refine_request()
        request.drafts[0].id = id_
        request.drafts[0].ClearField("solution")
        request.drafts[0].schema.json = text
        response = await self.callers.ledger.Refine(request)
        return str(response.vibes[0].ref)

    async def made_from(self, targets: list[str], count: int = 1) -> list[str]:
        """Refine a number of RECORDs from these."""
        request = refine_request()
        del request.drafts[:]
        request.target_refs.extend(targets)
        for _ in range(count):
            request.drafts.add().CopyFrom(refine_request().drafts[0])
        response = await self.callers.ledger.Refine(request)
        return list(response.refinement.vibe_refs)

    async def pyramid(self) -> str:
        """A RECORD made from 10, each made from 100, each made from 10: 11,011 and their author."""
        level = [ref for _ in range(LINEAGE // 1_000) for ref in await self.made_from([], 1_000)]
        for width in (10, 100, 10):
            groups = [level[at : at + width] for at in range(0, len(level), width)]
            level = [ref for group in groups for ref in await self.made_from(group)]
        return level[0]


def _shown(seconds: float) -> str:
    return f"{seconds * 1_000:,.1f} ms" if seconds >= 0.001 else f"{seconds * 1_000_000:,.0f} µs"


async def cyclonedx(bench: Bench) -> str:
    """Refine the CycloneDX schemas, and return the ref of the largest."""
    folder = Path(str(files("cyclonedx") / "schema" / "_res"))
    names = ("bom-1.6", "spdx", "jsf-0.82")
    schemas = read_schemas([folder / f"{name}.SNAPSHOT.schema.json" for name in names])
    request = refine_request()
    del request.drafts[:]
    for planned in plan(schemas, ids_of(schemas, "cyclonedx", ())):
        draft = request.drafts.add(type=vibe_pb2.VIBE_TYPE_RECORD, id=planned.id)
        draft.schema.json = json.dumps(planned.schema)
    response = await bench.callers.ledger.Refine(request)
    return next(str(vibe.ref) for vibe in response.vibes if "bom" in vibe.id)


async def main(folder: Path) -> None:
    """Measure everything at each size."""
    port, echo_port = free_port(), free_port()
    machine = f"{os.cpu_count()} cores, {platform.platform()}, load average {os.getloadavg()[0]:.1f}"
    versions = f"Python {platform.python_version()}, grpcio {version('grpcio')}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {versions}\n")
    print("| Vibes | what | ours | against | theirs | ratio | target |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    benches: list[Bench] = []
    with EmbeddedPostgres(folder / "postgres") as postgres:
        for size in SIZES:
            database = f"bench_{size}"
            await create_database(postgres.url(database))
            await migrate(postgres.url(database))
            callers = Callers(port, echo_port)
            bench = Bench(postgres, database, callers, size)
            await bench.populate()
            with server(postgres.url(database, "refinery_app"), port, echo_port):
                await asyncio.wait_for(callers.channel.channel_ready(), 60)
                await measure(bench)
                if size == max(SIZES):
                    await processes.measure(bench, f"127.0.0.1:{port}", SECONDS, ROUNDS)
                    await secured.measure(bench, postgres.url(database, "refinery_app"), SECONDS)
                    await proof.measure(bench)
                await callers.close()
            benches.append(bench)
        growth(benches)
        await largest_requests(postgres)


async def largest_requests(postgres: EmbeddedPostgres) -> None:
    """The largest legal requests, on a ledger of their own."""
    port, echo_port = free_port(), free_port()
    await create_database(postgres.url("bench_limits"))
    await migrate(postgres.url("bench_limits"))
    with server(postgres.url("bench_limits", "refinery_app"), port, echo_port) as pid:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
        await at_the_limits.report(f"127.0.0.1:{port}", postgres.url("bench_limits"), pid)
        await watching.report(f"127.0.0.1:{port}")


async def measure(bench: Bench) -> None:
    """Everything, at one size."""
    await bench.writes()
    ref = await bench.schema("bench/small", '{"type": "object"}')
    whole = await bench.callers.ledger.Refine(refine_request())
    schema = await bench.schema("bench/composed", f'{{"$ref": "aug:{ref}"}}')
    await bench.reads(whole.vibes[0].ref, schema)
    await bench.cold(await cyclonedx(bench))
    await bench.lineage()


def growth(benches: list[Bench]) -> None:
    """The factor by which each became slower from the smallest to the largest size."""
    if len(benches) < 2:
        return
    first, last = benches[0], benches[-1]
    print(f"\nGrowth from {first.size:,} to {last.size:,} Vibes (target ≤ 1.5):\n")
    print("| what | times slower |\n| --- | --- |")
    for what, figure in first.figures.items():
        print(f"| {what} | {figure / last.figures[what]:.2f} |")


if __name__ == "__main__":
    FOLDER = Path(tempfile.mkdtemp(prefix="refinery-bench-"))
    FOLDER.chmod(0o711)
    try:
        uvloop.run(main(FOLDER))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
