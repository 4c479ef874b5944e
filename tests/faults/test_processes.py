"""Whoever dies, and however often: every execution completes, and each of its commits is made once."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from refinery_cli.supervise import Child
from refinery_cli.temporal import Temporal
from refinery_client import Draft, Execution, ExecutionState, Refinery
from refinery_core.postgres.verify import verify
from refinery_core.vibe.model import VibeType
from tests.cases.load import AUTHOR
from tests.cases.processes import ServiceProcess
from tests.faults.conftest import Store

REFINE = "aug:/system/capabilities/refine"
PROCESS = "main@processes/steps?1"
STEPS = 3
"""Commits in the middle; the result is one more."""

STARTED_SECONDS = 60.0
PROGRESS_SECONDS = 30.0
COMPLETED_SECONDS = 60.0


@dataclass(frozen=True)
class Everybody:
    """All that an execution needs, each a process of its own, and a client of those that come back."""

    store: Store
    ledger: ServiceProcess
    temporal: Child
    worker: ServiceProcess
    refinery: Refinery
    before: tuple[set[str], int]
    """What was committed before the first execution."""

    async def dies_and_comes_back(self, who: str) -> None:
        """Kill one by its id, start it again, and wait until it says that it is ready."""
        if who == "postgres":
            self.store.crash()
            self.store.server.start()
        elif who == "temporal":
            await end(self.temporal)
            await self.temporal.start()
        else:
            service = {"worker": self.worker, "ledger": self.ledger}[who]
            service.kill()
            service.start()
            await service.ready()

    async def execute(self, id_: UUID) -> None:
        """Start an execution, and ask again under its id until somebody says that it is durable."""
        input_, result_id = {"id": str(id_)}, f"results/{id_}"
        await self.refinery.execute_process(
            PROCESS, author_ref=AUTHOR, input=input_, result_id=result_id, request_id=id_
        )

    async def until_completed(self, id_: UUID) -> str | None:
        """The result of an execution."""
        async with asyncio.timeout(COMPLETED_SECONDS):
            while (stands := await self.stands(id_)).state is ExecutionState.RUNNING:
                await asyncio.sleep(0.2)
        assert stands.state is ExecutionState.COMPLETED, stands
        return stands.result_ref

    async def stands(self, id_: UUID) -> Execution:
        return (await self.refinery.get_execution(id_)).execution

    async def until_one_is_in_the_middle(self, ids: Sequence[UUID]) -> int:
        """Wait until one of these executions has made its first commit; how many are not done then."""
        first, last = [f"steps/{id_}/0" for id_ in ids], [f"results/{id_}" for id_ in ids]
        connection = await asyncpg.connect(self.store.owner_url)
        try:
            async with asyncio.timeout(PROGRESS_SECONDS):
                while not await connection.fetchval(AMONG, first):
                    await asyncio.sleep(0.005)
            return len(ids) - int(await connection.fetchval(AMONG, last))
        finally:
            await connection.close()


AMONG = "select count(*) from refinery.vibes where id = any($1)"


async def end(temporal: Child) -> None:
    """SIGKILL it, and wait until it is gone."""
    temporal.kill()
    async with asyncio.timeout(PROGRESS_SECONDS):
        while temporal.ended() is None:
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def everybody(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Everybody]:
    """Everybody at work, before a Temporal that keeps what it knows in a file."""
    temporal = Temporal.found(free_port(), free_port())
    ledger = ServiceProcess("ledger_service", store.app_url, tmp_path / "ledger.log")
    worker = ServiceProcess("process_worker", "", tmp_path / "worker.log")
    monkeypatch.setenv("REFINERY_LEDGER", ledger.address)
    monkeypatch.setenv("REFINERY_TEMPORAL_ADDRESS", temporal.address)
    child = temporal.child(tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(child.stop)
        stack.push_async_callback(end, child)
        for service in (ledger, worker):
            stack.callback(service.kill)
            service.start()
        await child.start()
        await ledger.ready()
        await worker.ready()
        connecting = Refinery.connect(
            ledger=ledger.address, process=worker.address, timeout_seconds=STARTED_SECONDS
        )
        refinery = await stack.enter_async_context(connecting)
        await refinery.refine(author_ref=AUTHOR, drafts=[process()])
        yield Everybody(store, ledger, child, worker, refinery, await committed(store))


def process() -> Draft:
    tasks = [{f"step{n}": {"call": REFINE, "with": {"drafts": [step(n)]}}} for n in range(STEPS)]
    document = {"dsl": "1.0.3", "namespace": "tests", "name": "steps", "version": "1.0.0"}
    return Draft(type=VibeType.PROCESS, id="processes/steps", solution={"document": document, "do": tasks})


def step(n: int) -> dict[str, Any]:
    id_ = f'${{ "steps/" + $workflow.input.id + "/{n}" }}'
    return {"type": "RECORD", "id": id_, "solution": {"n": n}}


async def test_executions_survive_the_death_of_everybody(everybody: Everybody) -> None:
    await chaos(everybody, ["worker", "temporal", "ledger", "worker", "postgres"], per_death=2)


@pytest.mark.long
async def test_a_hundred_executions_survive_the_death_of_everybody_again_and_again(
    everybody: Everybody,
) -> None:
    others = [who for _ in range(3) for who in ("temporal", "ledger", "postgres")]
    pairs = itertools.zip_longest(["worker"] * 10, others)
    deaths = [who for pair in pairs for who in pair if who is not None]
    assert Counter(deaths) == {"worker": 10, "temporal": 3, "ledger": 3, "postgres": 3}
    ids = await chaos(everybody, [*deaths, None], per_death=5)
    assert len(ids) == 100


async def chaos(everybody: Everybody, deaths: Sequence[str | None], *, per_death: int) -> list[UUID]:
    """Before each death some executions are started, and one of them at least is in the middle."""
    begin = time.monotonic()
    ids: list[UUID] = []
    hit = 0
    async with asyncio.TaskGroup() as starting:
        for who in deaths:
            some = [uuid.uuid4() for _ in range(per_death)]
            ids += some
            for id_ in some:
                starting.create_task(everybody.execute(id_))
            unfinished = await everybody.until_one_is_in_the_middle(some)
            if who is not None:
                hit += unfinished
                await everybody.dies_and_comes_back(who)
    results = await asyncio.gather(*map(everybody.until_completed, ids))
    assert results == [f"main@results/{id_}?1" for id_ in ids]
    await check(everybody, ids)
    print(f"{len(ids)} executions, {hit} of them begun and not done when somebody died, ", end="")
    print(f"in {time.monotonic() - begin:.1f} s")
    return ids


async def check(everybody: Everybody, ids: Sequence[UUID]) -> None:
    """Each step and each result is there once, and nothing else was ever committed."""
    refs, refinements = await committed(everybody.store)
    made = {f"main@steps/{id_}/{n}?1" for id_ in ids for n in range(STEPS)}
    made |= {f"main@results/{id_}?1" for id_ in ids} | {f"main@executions/{id_}?1" for id_ in ids}
    refs_before, refinements_before = everybody.before
    assert refs == refs_before | made
    assert refinements == refinements_before + len(made)
    assert (await verify(everybody.store.owner_url)).findings == []


async def committed(store: Store) -> tuple[set[str], int]:
    """All refs, and how many refinements made them."""
    connection = await asyncpg.connect(store.owner_url)
    try:
        refs = {str(row["ref"]) for row in await connection.fetch("select ref from refinery.vibes")}
        return refs, int(await connection.fetchval("select count(*) from refinery.refinements"))
    finally:
        await connection.close()
