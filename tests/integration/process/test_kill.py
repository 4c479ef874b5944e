from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from process_worker.workflow.keys import workflow_id
from process_worker.workflow.messages import TASK_QUEUE, WORKFLOW, Result, Start
from refinery_client import Draft, Refinery
from refinery_core.vibe.model import VibeType
from tests.conftest import Database
from tests.integration.conftest import AUTHOR
from tests.support.processes import ServiceProcess
from tests.support.waiting import until

REFINE = "aug:/capabilities/refine"
EXECUTIONS, STEPS = 12, 4
DOCUMENT = {"dsl": "1.0.3", "namespace": "tests", "name": "steps", "version": "1.0.0"}
DRAFT = {
    "type": "RECORD",
    "id": '${ "steps/" + $workflow.input.id + "/\\($n)" }',
    "solution": {"n": "${ $n }"},
}
PROCESS = {
    "document": DOCUMENT,
    "do": [
        {
            "f": {
                "for": {"in": f"${{ [range({STEPS})] }}", "each": "n"},
                "do": [{"commit": {"call": REFINE, "with": {"drafts": [DRAFT]}}}],
            }
        }
    ],
}


@pytest.fixture
async def worker(
    database: Database, temporal_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ServiceProcess, Refinery]]:
    """A worker that can be killed, before services that are not."""
    ledger = ServiceProcess("ledger_service", database.app_url, tmp_path / "ledger")
    resolver = ServiceProcess("resolver_service", database.reader_url, tmp_path / "resolver")
    monkeypatch.setenv("REFINERY_LEDGER", ledger.address)
    monkeypatch.setenv("REFINERY_RESOLVER", resolver.address)
    monkeypatch.setenv("REFINERY_TEMPORAL_ADDRESS", temporal_address)
    worker = ServiceProcess("process_worker", "", tmp_path / "worker")
    try:
        for service in (ledger, resolver, worker):
            service.start()
        for service in (ledger, resolver, worker):
            await service.ready()
        async with Refinery.connect(ledger=ledger.address, resolver=resolver.address) as refinery:
            yield worker, refinery
    finally:
        for service in (worker, resolver, ledger):
            service.kill()


async def test_each_step_is_committed_once_though_the_worker_is_killed(
    worker: tuple[ServiceProcess, Refinery], temporal: Client
) -> None:
    process, refinery = worker
    function = {"call": "python", "with": {"function": "refinery.refine"}}
    made = await refinery.refine(
        author_ref=AUTHOR,
        drafts=[
            Draft(type=VibeType.CAPABILITY, id="capabilities/refine", solution=function),
            Draft(type=VibeType.PROCESS, id="processes/steps", solution=PROCESS),
        ],
    )
    capability, steps = (vibe.ref for vibe in made.vibes)
    start = Start(steps, steps, AUTHOR, "main", "", frozen={REFINE: capability})
    ids = [uuid.uuid4() for _ in range(EXECUTIONS)]
    handles = [
        await temporal.start_workflow(
            WORKFLOW,
            replace(start, result_id=f"results/{id_}", input={"id": str(id_)}),
            id=workflow_id(id_),
            task_queue=TASK_QUEUE,
            result_type=Result,
        )
        for id_ in ids
    ]

    async def steps_kept() -> int:
        return len([vibe.ref async for vibe in refinery.list_vibes(id_prefix="steps/")])

    async def is_in_the_middle() -> bool:
        return await steps_kept() > before

    for _ in range(2):
        before = await steps_kept()
        await until(is_in_the_middle)
        process.kill()
        process.start()
        await process.ready()
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert {result.result_ref for result in results} == {f"main@results/{id_}?1" for id_ in ids}
    kept = [vibe.ref async for vibe in refinery.list_vibes(id_prefix="steps/")]
    assert sorted(kept) == sorted(f"main@steps/{id_}/{n}?1" for id_ in ids for n in range(STEPS))
    assert len([vibe async for vibe in refinery.list_vibes(id_prefix="results/")]) == EXECUTIONS
