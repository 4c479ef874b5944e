"""Measures executions: on a real Temporal, by the real worker, against a workflow written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from temporalio.client import Client, WorkflowHandle

from benchmarks.by_hand import QUEUE, ByHand
from benchmarks.load import AUTHOR, free_port, rate
from process_worker.jq.evaluator import Evaluator
from process_worker.settings import Settings
from process_worker.temporal.connect import connect
from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import TASK_QUEUE, WORKFLOW, Result, Start
from refinery_client import Draft, Refinery
from refinery_core.process.parts import Expression
from refinery_core.vibe.model import VibeType
from refinery_local.supervise import Child, serving
from refinery_local.temporal import Temporal

READ: Final = "aug:/system/capabilities/get-vibe"
CALLS: Final = 4
"""The commit is the fifth activity."""
AT_ONCE: Final = 48
"""Executions: with fewer, both sides mostly wait for Temporal's next turn, and look alike."""
COUNTED: Final = 100
"""Executions whose CPU time is read; the system counts it in hundredths of a second."""
STEPS: Final = 5_000
LONE: Final = 100
START_SECONDS: Final = 60.0
_PROC: Final = Path("/proc")
_DOCUMENT: Final = {"dsl": "1.0.3", "namespace": "bench", "name": "bench", "version": "1.0.0"}


class Table(Protocol):
    """A place to print figures."""

    def alone(self, what: str, seconds: float) -> None: ...
    def rate(self, what: str, ours: float, target: str) -> None: ...
    def rates(self, what: str, ours: float, against: str, theirs: float, target: str) -> None: ...
    def times(self, what: str, ours: float, against: str, theirs: float, target: str) -> None: ...


@dataclass(frozen=True)
class Processes:
    """The worker, the one with the workflow by hand, and the processes that both execute."""

    refinery: Refinery
    temporal: Client
    read: str
    """The capability that is called."""
    engine_pid: int
    hand_pid: int

    async def by_engine(self, process: str, frozen: dict[str, str]) -> Result:
        """Execute a process, as any client of Temporal may."""
        return await self._execute(WORKFLOW, TASK_QUEUE, process, None, frozen)

    async def by_hand(self, process: str, calls: int) -> Result:
        """Execute the workflow that is written by hand, in the name of a process."""
        what = {"ref": self.read, "arguments": {"reference": AUTHOR}}
        return await self._execute(ByHand.__name__, QUEUE, process, {"calls": calls, "what": what}, {})

    async def _execute(
        self, workflow: str, queue: str, process: str, input_: Any, frozen: dict[str, str]
    ) -> Result:
        id_ = uuid.uuid4()
        start = Start(process, process, AUTHOR, "main", f"bench/results/{id_}", input_, frozen=frozen)
        handle: WorkflowHandle[Any, Result] = await self.temporal.start_workflow(
            workflow, start, id=workflow_id(id_), task_queue=queue, result_type=Result
        )
        return await handle.result()

    async def process(self, name: str, do: list[dict[str, Any]]) -> str:
        """Refine a process."""
        draft = Draft(type=VibeType.PROCESS, id=f"bench/{name}", solution={"document": _DOCUMENT, "do": do})
        refined = await self.refinery.refine(author_ref=AUTHOR, drafts=[draft])
        return refined.vibes[0].ref


async def measure(table: Table, ledger: str, seconds: float, rounds: int) -> None:
    """Everything about processes."""
    table.rate("jq evaluations", await evaluations(seconds / 2), "≥ 3,000/s")
    async with working(ledger) as processes:
        await activities(processes, table, seconds / 2, rounds)
        await inline(processes, table, rounds)
        await lone(processes, table)


@contextlib.asynccontextmanager
async def working(ledger: str) -> AsyncIterator[Processes]:
    """Temporal and both workers, each a process of its own."""
    temporal = Temporal.found(free_port(), free_port())
    server = in_memory(temporal)
    address = f"127.0.0.1:{free_port()}"
    environment = {
        "REFINERY_LEDGER": ledger,
        "REFINERY_RESOLVER": ledger,
        "REFINERY_TEMPORAL_ADDRESS": temporal.address,
        "REFINERY_LISTEN": address,
    }
    await server.start()
    try:
        with (
            running("process_worker", environment) as engine,
            running("benchmarks.by_hand", environment) as hand,
        ):
            async with Refinery.connect(ledger=ledger, resolver=ledger, process=address) as refinery:
                async with asyncio.timeout(START_SECONDS):
                    await _until_serving(address)
                    client = await connect(Settings(temporal_address=temporal.address))
                    read = (await refinery.resolve_reference(READ)).vibe.ref
                    processes = Processes(refinery, client, read, engine.pid, hand.pid)
                    await processes.by_hand(read, 1)  # It works once it has answered.
                yield processes
    finally:
        await server.stop()


def in_memory(temporal: Temporal) -> Child:
    """A server without a file: otherwise both sides wait for the disk most of the time, and look alike."""
    options = ["--ip", "127.0.0.1", "--port", str(temporal.port), "--headless", "--log-level", "never"]
    return Child(
        name="Temporal",
        command=[str(temporal.program), "server", "start-dev", *options],
        environment={},
        ready=serving(temporal.address),
        silent=True,
    )


async def _until_serving(address: str) -> None:
    serves = serving(address)
    while not await serves():  # noqa: ASYNC110 -- only the server knows
        await asyncio.sleep(0.1)


@contextlib.contextmanager
def running(module: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, as in production: its log is written, to /dev/null."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=os.environ | environment, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


async def activities(processes: Processes, table: Table, seconds: float, rounds: int) -> None:
    """A process of five activities against the same five by hand, in turns."""
    call = {"call": READ, "with": {"reference": AUTHOR}}
    process = await processes.process("five", [{f"read{number}": call} for number in range(CALLS)])
    frozen = {READ: processes.read}
    pairs = [
        (
            await rate(lambda: processes.by_engine(process, frozen), seconds, AT_ONCE),
            await rate(lambda: processes.by_hand(process, CALLS), seconds, AT_ONCE),
        )
        for _ in range(rounds)
    ]
    engine, hand = (statistics.median(figures) for figures in zip(*pairs, strict=True))
    what = f"executions of {CALLS + 1} activities, {AT_ONCE} at once"
    table.rates(what, engine, "a workflow by hand", hand, "≥ 0.8")
    if not _PROC.exists():
        return  # Only Linux reports the CPU time of a process.
    costs = [
        (
            await cost(processes.engine_pid, lambda: processes.by_engine(process, frozen)),
            await cost(processes.hand_pid, lambda: processes.by_hand(process, CALLS)),
        )
        for _ in range(rounds)
    ]
    engine, hand = (statistics.median(figures) for figures in zip(*costs, strict=True))
    each = CALLS + 1
    table.times("CPU of the worker, a step that is an activity", engine / each, "the same", hand / each, "")


async def cost(pid: int, execute: Callable[[], Awaitable[Result]], count: int = COUNTED) -> float:
    """The CPU seconds that a process uses for one execution of many at once, without its children's."""
    before = _cpu_seconds(pid)
    await asyncio.gather(*(execute() for _ in range(count)))
    return (_cpu_seconds(pid) - before) / count


def _cpu_seconds(pid: int) -> float:
    after_name = (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


async def inline(processes: Processes, table: Table, rounds: int) -> None:
    """Steps that need only jq."""
    step = {"step": {"set": {"x": "${ $x + 1 }"}}}
    loop = {"for": {"in": f"${{ [range({STEPS})] }}", "each": "x"}, "do": [step]}
    process, times = await processes.process("inline", [{"loop": loop}]), []
    for _ in range(rounds):
        start = time.perf_counter()
        await processes.by_engine(process, {})
        times.append(time.perf_counter() - start)
    if _PROC.exists():
        used = await cost(processes.engine_pid, lambda: processes.by_engine(process, {}), count=1)
        table.alone("CPU of the worker, an inline step", used / STEPS)
    table.rate(f"inline steps, {STEPS:,} in one execution", STEPS / statistics.median(times), "≥ 2,000/s")


async def lone(processes: Processes, table: Table) -> None:
    """
    From ExecuteProcess to the result, one at a time, against a workflow that only commits.

    A lone execution waits for Temporal most of the time: the ratio only tells the share of Temporal.
    """
    process = await processes.process("one", [{"step": {"set": {"a": 1}}}])
    ours, theirs = [], []
    for _ in range(LONE):
        start = time.perf_counter()
        begun = await processes.refinery.execute_process(process, author_ref=AUTHOR)
        handle = processes.temporal.get_workflow_handle(workflow_id(begun.execution.id))
        await handle.result()
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        await processes.by_hand(process, 0)
        theirs.append(time.perf_counter() - start)
    ours.sort()
    theirs.sort()
    for name, at in (("p50", LONE // 2), ("p99", (LONE * 99 - 1) // 100)):
        what = f"ExecuteProcess to result, one step, {name}"
        table.times(what, ours[at], "Temporal and the commit alone", theirs[at], "")


async def evaluations(seconds: float) -> float:
    """Evaluations a second of two threads, each requesting one at a time, and none twice."""
    expression = Expression(".a + 1")

    def ask(evaluator: Evaluator, thread: int) -> int:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            evaluator.evaluate([expression], {"a": count, "thread": thread}, {})
            count += 1
        return count

    with Evaluator(children=2) as evaluator:
        evaluator.evaluate([expression], {"a": 1}, {})
        start = time.perf_counter()
        counts = await asyncio.gather(*(asyncio.to_thread(ask, evaluator, thread) for thread in range(2)))
        return sum(counts) / (time.perf_counter() - start)
