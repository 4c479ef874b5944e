"""A worker that is asked to stop ends in time, whatever its executions do, and another one goes on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client

from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import TASK_QUEUE, WORKFLOW, Result, Start
from refinery_client import Draft, ExecutionState
from refinery_core.serving.ending import CUT_SHORT
from refinery_core.vibe.model import VibeType
from tests.faults.everybody import Everybody, at_work, end, start
from tests.faults.store import Store, children
from tests.support.load import AUTHOR
from tests.support.processes import cpu_seconds
from tests.support.waiting import until

ENDS_SECONDS = 25.0
EXECUTIONS = 3
BOMB = "${ [range(1000000) | range(1000000)] | length }"
PROCESSES: dict[str, list[dict[str, Any]]] = {
    "computes": [
        {name: {"try": [{"a": {"set": {"n": BOMB}}}], "catch": {"do": [{"b": {"set": {"n": 1}}}]}}}
        for name in ("once", "twice")
    ],
    "waits": [{"w": {"wait": {"milliseconds": 1}}}, {"a": {"set": {"n": 1}}}],
}
"""Each comes to `{"n": 1}`."""


@pytest.fixture
async def everybody(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Everybody]:
    """With one child for all expressions, so that those of most executions wait for it."""
    monkeypatch.setenv("REFINERY_EXPRESSION_CHILDREN", "1")
    async with at_work(store, tmp_path, monkeypatch) as everybody:
        await everybody.refinery.refine(
            author_ref=AUTHOR, drafts=[process(name, do) for name, do in PROCESSES.items()]
        )
        yield everybody


def process(name: str, do: list[dict[str, Any]]) -> Draft:
    document = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0"}
    return Draft(type=VibeType.PROCESS, id=f"processes/{name}", solution={"document": document, "do": do})


async def computing(everybody: Everybody) -> list[UUID]:
    """Executions that wait, in local activities, for expressions that come to nothing."""
    ids = [uuid.uuid4() for _ in range(EXECUTIONS)]
    for id_ in ids:
        await everybody.execute("main@processes/computes?1", id_)
    # No workflow waits so long for an expression.
    await until(lambda: max(map(cpu_seconds, children(everybody.worker.pid)), default=0) > 1.2)
    return ids


async def reading(everybody: Everybody) -> list[UUID]:
    """Executions that read, in local activities that are tried again, from a ledger that is away."""
    everybody.ledger.kill()
    client = await Client.connect(everybody.temporal_address)
    ids = [uuid.uuid4() for _ in range(EXECUTIONS)]
    ref = "main@processes/waits?1"
    for id_ in ids:
        given = Start(ref, ref, AUTHOR, "main", f"results/{id_}", {"id": str(id_)})
        await client.start_workflow(
            WORKFLOW, given, id=workflow_id(id_), task_queue=TASK_QUEUE, result_type=Result
        )
    await until(lambda: "Unreachable" in everybody.worker.log)
    return ids


async def computing_before_a_temporal_that_is_away(everybody: Everybody) -> list[UUID]:
    ids = await computing(everybody)
    await end(everybody.temporal)
    return ids


async def idle(everybody: Everybody) -> list[UUID]:
    return []


@pytest.mark.parametrize("busy", [computing, reading, computing_before_a_temporal_that_is_away, idle])
async def test_a_worker_that_is_asked_to_stop_ends_in_time_and_loses_nothing(
    everybody: Everybody, busy: Callable[[Everybody], Awaitable[list[UUID]]]
) -> None:
    ids = await busy(everybody)
    everybody.worker.terminate()
    assert await asyncio.to_thread(everybody.worker.exit_code, ENDS_SECONDS) == 0
    if not everybody.ledger.is_running:
        everybody.ledger.start()
    if everybody.temporal.ended() is not None:
        await start(everybody.temporal)
    everybody.worker.start()
    await everybody.worker.ready()
    for id_ in ids:
        assert await everybody.until_completed(id_) == f"main@results/{id_}?1"


INSTALLED = "Metadata-Version: 2.1\nName: endless\nVersion: 1.0\n"
ENDLESS = """
import time

def sleep(arguments, caller):
    open({began!r}, "w").close()
    time.sleep(3600)
"""


async def test_a_worker_with_a_function_that_never_returns_is_cut_short(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, packages = tmp_path / "began", tmp_path / "packages"
    told = packages / "endless-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(INSTALLED)
    (told / "entry_points.txt").write_text("[refinery.capabilities]\nendless.sleep = endless:sleep\n")
    (packages / "endless.py").write_text(ENDLESS.format(began=str(began)))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    function = {"call": "python", "with": {"function": "endless.sleep"}}
    sleeps = Draft(type=VibeType.CAPABILITY, id="capabilities/sleep", solution=function)
    async with at_work(store, tmp_path, monkeypatch) as everybody:
        await everybody.refinery.refine(author_ref=AUTHOR, drafts=[sleeps])
        calls = process("calls", [{"a": {"call": "aug:/capabilities/sleep"}}])
        await everybody.refinery.refine(author_ref=AUTHOR, drafts=[calls])
        id_ = uuid.uuid4()
        await everybody.execute("main@processes/calls?1", id_)
        await until(began.exists)
        everybody.worker.terminate()
        assert await asyncio.to_thread(everybody.worker.exit_code, ENDS_SECONDS) == CUT_SHORT
        assert '"cut short"' in everybody.worker.log
        began.unlink()
        everybody.worker.start()
        await everybody.worker.ready()
        await until(began.exists)
        assert (await everybody.stands(id_)).state is ExecutionState.RUNNING
