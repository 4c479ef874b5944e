"""All that an execution needs, each a process of its own, to be killed and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from refinery_client import Execution, ExecutionState, Refinery
from refinery_core.settings import CannotStart
from refinery_local.supervise import Child
from refinery_local.temporal import Temporal
from tests.faults.store import Store
from tests.support.load import AUTHOR
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

STARTS = 3


@dataclass(frozen=True)
class Everybody:
    """All that an execution needs, each a process of its own, and a client of those that come back."""

    store: Store
    ledger: ServiceProcess
    temporal: Child
    temporal_address: str
    worker: ServiceProcess
    refinery: Refinery

    async def dies_and_comes_back(self, who: str) -> None:
        """Kill one by its pid, start it again, and wait until it reports SERVING."""
        if who == "postgres":
            self.store.crash()
            self.store.server.start()
        elif who == "temporal":
            await end(self.temporal)
            await start(self.temporal)
        else:
            service = {"worker": self.worker, "ledger": self.ledger}[who]
            service.kill()
            service.start()
            await service.ready()

    async def execute(self, process: str, id_: UUID) -> None:
        """Start an execution, and repeat the request under its id until it is durable."""
        input_, result_id = {"id": str(id_)}, f"results/{id_}"
        await self.refinery.execute_process(
            process, author_ref=AUTHOR, input=input_, result_id=result_id, request_id=id_
        )

    async def until_completed(self, id_: UUID) -> str | None:
        """The result of an execution."""
        async with asyncio.timeout(PATIENCE):
            while (stands := await self.stands(id_)).state is ExecutionState.RUNNING:
                await asyncio.sleep(0.2)
        assert stands.state is ExecutionState.COMPLETED, stands
        return stands.result_ref

    async def stands(self, id_: UUID) -> Execution:
        return (await self.refinery.get_execution(id_)).execution


async def end(temporal: Child) -> None:
    """SIGKILL it, and wait until it is gone."""
    temporal.kill()
    async with asyncio.timeout(PATIENCE):
        while temporal.ended() is None:
            await asyncio.sleep(0.01)


async def start(temporal: Child) -> None:
    """Start it. It chooses further ports itself, and another program may take them first."""
    for _ in range(STARTS - 1):
        with suppress(CannotStart):
            return await temporal.start()
    return await temporal.start()


@asynccontextmanager
async def at_work(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Everybody]:
    """All services, running, on a Temporal that keeps its data in a file."""
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
        await start(child)
        await ledger.ready()
        await worker.ready()
        connecting = Refinery.connect(ledger=ledger.address, process=worker.address, timeout_seconds=PATIENCE)
        refinery = await stack.enter_async_context(connecting)
        yield Everybody(store, ledger, child, temporal.address, worker, refinery)
