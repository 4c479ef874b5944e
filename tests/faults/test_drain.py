"""A ledger that is asked to stop finishes the running calls, and refuses the others politely."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_client.refusals import refusal_from
from refinery_core.errors import Draining
from tests.cases.seeded import SEEDED
from tests.faults.store import Store
from tests.support.load import AUTHOR
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

ENDS_SECONDS = 20.0
"""Less than the grace for running calls: a polite end does not use it up."""


@dataclass(frozen=True)
class Ledger:
    """A ledger process, and the database, as its superuser sees it."""

    process: ServiceProcess
    stub: pb_grpc.LedgerServiceStub
    superuser: asyncpg.Connection

    async def until_somebody_waits_for_a_lock(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await self.superuser.fetchval(WAITING):
                await asyncio.sleep(0.02)

    async def ends(self) -> int:
        return await asyncio.to_thread(self.process.exit_code, ENDS_SECONDS)


WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
async def ledger(store: Store, tmp_path: Path) -> AsyncIterator[Ledger]:
    process = ServiceProcess("ledger_service", store.app_url, tmp_path / "ledger.log")
    superuser = await asyncpg.connect(store.owner_url)
    try:
        process.start()
        await process.ready()
        async with grpc.aio.insecure_channel(process.address) as channel:
            yield Ledger(process, pb_grpc.LedgerServiceStub(channel), superuser)
    finally:
        process.kill()
        await superuser.close()
    assert "Traceback" not in process.log


def request(id_: str) -> pb.RefineRequest:
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id=id_)
    return pb.RefineRequest(request_id=str(uuid.uuid4()), author_ref=AUTHOR, drafts=[draft])


async def refused(stream: Any) -> Exception:
    """The error that ends a stream."""
    try:
        while await stream.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return refusal_from(error)
    return AssertionError("it ended without a word")


async def test_running_refines_finish_and_are_answered(ledger: Ledger) -> None:
    async with ledger.superuser.transaction():
        await ledger.superuser.execute("lock table refinery.refinements in exclusive mode")
        running = [asyncio.ensure_future(ledger.stub.Refine(request(name))) for name in ("a", "b", "c")]
        stream: Any = ledger.stub.RefineStream()
        await stream.write(pb.RefineStreamRequest(refine=request("d")))
        await ledger.until_somebody_waits_for_a_lock()
        ledger.process.terminate()
        async with grpc.aio.insecure_channel(ledger.process.address) as other:
            async with asyncio.timeout(PATIENCE):
                while await _is_answered(other):
                    await asyncio.sleep(0.02)
    answers = await asyncio.gather(*running)
    assert sorted(answer.vibes[0].ref for answer in answers) == ["main@a?1", "main@b?1", "main@c?1"]
    in_stream = await stream.read()
    assert in_stream.response.vibes[0].ref == "main@d?1"
    assert type(await refused(stream)) is Draining
    assert await ledger.ends() == 0
    assert await ledger.superuser.fetchval("select max(position) from refinery.refinements") == SEEDED + 4


async def _is_answered(channel: grpc.aio.Channel) -> bool:
    """Whether a newcomer is still let in."""
    try:
        await pb_grpc.LedgerServiceStub(channel).ListBranches(pb.ListBranchesRequest(), timeout=PATIENCE)
    except grpc.aio.AioRpcError as error:
        return error.code() is not grpc.StatusCode.UNAVAILABLE
    return True


async def test_watches_end_with_where_to_go_on(ledger: Ledger) -> None:
    watches: list[Any] = [ledger.stub.WatchVibes(pb.WatchVibesRequest()) for _ in range(8)]
    for watch in watches:
        assert (await watch.read()).position == 1
    ledger.process.terminate()
    assert {type(await refused(watch)) for watch in watches} == {Draining}
    assert await ledger.ends() == 0


async def test_streams_of_refines_end_when_what_they_carried_is_answered(ledger: Ledger) -> None:
    stream: Any = ledger.stub.RefineStream()
    await stream.write(pb.RefineStreamRequest(refine=request("a")))
    assert (await stream.read()).response.vibes[0].ref == "main@a?1"
    ledger.process.terminate()
    assert type(await refused(stream)) is Draining
    assert await ledger.ends() == 0


async def test_a_ledger_that_is_idle_stops_at_once(ledger: Ledger) -> None:
    ledger.process.terminate()
    assert await ledger.ends() == 0
