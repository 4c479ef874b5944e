"""A client notices that an address suddenly serves another ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery_client import Refine, Refinery
from refinery_core.errors import AnotherLedger, VibeNotFound
from refinery_core.postgres.migrate import migrate
from refinery_core.wire import LEDGER_ID_KEY
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.seeded import FIRST, SEEDED
from tests.conftest import Database, fresh
from tests.support.ledger import AUTHOR, record
from tests.support.processes import ServiceProcess


@pytest.fixture
async def ledgers(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> AsyncIterator[tuple[ServiceProcess, ServiceProcess]]:
    """One that serves, and another one that may take its address."""
    async with fresh(postgres, "template0") as other:
        await migrate(postgres.url(other))  # Copies of a migrated database are one ledger.
        urls = database.app_url, postgres.url(other, "refinery_app")
        first, second = (ServiceProcess("ledger_service", url, tmp_path / "log") for url in urls)
        second.address = first.address
        try:
            first.start()
            await first.ready()
            yield first, second
        finally:
            first.kill()
            second.kill()


async def replace(ledgers: tuple[ServiceProcess, ServiceProcess]) -> None:
    first, second = ledgers
    first.kill()
    second.start()
    await second.ready()


async def reads(refinery: Refinery) -> None:
    await refinery.get_vibe(AUTHOR)


async def is_refused(refinery: Refinery) -> None:
    await refinery.get_vibe("main@nobody?1")


async def refines(refinery: Refinery) -> None:
    await refinery.refine(author_ref=AUTHOR, drafts=[record("x")])


async def refines_many(refinery: Refinery) -> None:
    async for outcome in refinery.refine_many([Refine(author_ref=AUTHOR, drafts=[record("x")])]):
        outcome.unwrap()


async def traces(refinery: Refinery) -> None:
    async for _ in refinery.trace_lineage(AUTHOR):
        pass


async def watches(refinery: Refinery) -> None:
    async with aclosing(refinery.watch()) as changes:
        await anext(changes)


async def watches_what_comes(refinery: Refinery) -> None:
    """From a position that another ledger does not reach."""
    async with aclosing(refinery.watch(after_position=FIRST)) as changes:
        await anext(changes)


async def asks_for_health(refinery: Refinery) -> None:
    await refinery.ledger_is_serving()


CALLS: list[Callable[[Refinery], Awaitable[None]]] = [
    reads,
    is_refused,
    refines,
    refines_many,
    traces,
    watches,
    watches_what_comes,
    asks_for_health,
]


async def test_every_call_of_a_client_says_that_another_ledger_answers(
    ledgers: tuple[ServiceProcess, ServiceProcess],
) -> None:
    first, _ = ledgers
    async with Refinery.connect(ledger=first.address, timeout_seconds=60) as refinery:
        for call in CALLS:
            if call is watches_what_comes:
                continue  # Nothing comes.
            if call is is_refused:
                with pytest.raises(VibeNotFound):
                    await call(refinery)
            else:
                await call(refinery)
        seen = (await refinery.get_ledger()).ledger_id
        assert (await refinery.get_ledger()).position > FIRST
        await replace(ledgers)
        for call in CALLS:
            with pytest.raises(AnotherLedger, match=f"for the ledger '{seen}'"):
                await call(refinery)
    async with Refinery.connect(ledger=first.address, timeout_seconds=60) as refinery:
        other = await refinery.get_ledger()
    assert other.ledger_id != seen
    assert other.position == SEEDED, "nothing was written into the other one"


async def test_every_answer_names_its_ledger(ledgers: tuple[ServiceProcess, ServiceProcess]) -> None:
    async with grpc.aio.insecure_channel(ledgers[0].address) as channel:
        stub = pb_grpc.LedgerServiceStub(channel)
        call = stub.GetLedger(pb.GetLedgerRequest())
        told = (await call).ledger_id
        assert dict(await call.trailing_metadata() or ())[LEDGER_ID_KEY] == told
        watch = stub.WatchVibes(pb.WatchVibesRequest())
        async with asyncio.timeout(60):
            assert dict(await watch.initial_metadata() or ())[LEDGER_ID_KEY] == told
        watch.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetVibe(pb.GetVibeRequest(reference="main@nobody?1"))
        assert dict(refused.value.trailing_metadata() or ())[LEDGER_ID_KEY] == told
