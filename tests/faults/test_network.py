"""Anything may be lost between ledger and database; callers get a true answer, and in time."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
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
from refinery_core.errors import RefineryError
from refinery_core.postgres.verify import verify
from tests.faults.store import Store
from tests.support.load import AUTHOR
from tests.support.processes import FAST_RECONNECT, ServiceProcess
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE

MOMENT = 0.02
GIVEN_UP_SECONDS = 60.0


WAITING = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@dataclass(frozen=True)
class Far:
    """A ledger whose database is behind a proxy; and the database, as its superuser sees it."""

    process: ServiceProcess
    proxy: Proxy
    stub: pb_grpc.LedgerServiceStub
    superuser: asyncpg.Connection

    async def refine(self, request: pb.RefineRequest, seconds: float = PATIENCE) -> pb.RefineResponse:
        answer: pb.RefineResponse = await _answer(self.stub.Refine(request, timeout=seconds))
        return answer

    async def read(self, seconds: float = PATIENCE) -> None:
        await _answer(self.stub.ListRefinements(pb.ListRefinementsRequest(), timeout=seconds))

    async def position(self, request: pb.RefineRequest) -> int | None:
        """The position at which a request was committed, if it was."""
        sql = "select position from refinery.refinements where request_id = $1"
        position: int | None = await self.superuser.fetchval(sql, uuid.UUID(request.request_id))
        return position

    async def until_committed(self, request: pb.RefineRequest) -> int:
        async with asyncio.timeout(PATIENCE):
            while (position := await self.position(request)) is None:
                await asyncio.sleep(MOMENT)
        return position

    async def until_it_waits_for_a_lock(self) -> int:
        """The process id of the session that waits."""
        async with asyncio.timeout(PATIENCE):
            while (pid := await self.superuser.fetchval(WAITING)) is None:
                await asyncio.sleep(MOMENT)
        return int(pid)

    async def until_refused(self, reason: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await reason_of(self.read()) != reason:
                await asyncio.sleep(MOMENT)


async def _answer(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise refusal_from(error) from None


async def reason_of(call: Awaitable[object]) -> str:
    try:
        await call
    except RefineryError as refusal:
        return refusal.reason
    return "OK"


def request(id_: str = "x") -> pb.RefineRequest:
    """A refine for which nothing has to be read before it is sent to the database."""
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id=id_, solution=vibe_pb2.Document(json="1"))
    return pb.RefineRequest(request_id=str(uuid.uuid4()), author_ref=AUTHOR, drafts=[draft])


@pytest.fixture
async def far(store: Store, tmp_path: Path) -> AsyncIterator[Far]:
    proxy = Proxy(store.app_url)
    superuser = await asyncpg.connect(store.owner_url)
    async with proxy.listening():
        process = ServiceProcess("ledger_service", proxy.url, tmp_path / "ledger.log")
        try:
            process.start()
            await process.ready()
            async with grpc.aio.insecure_channel(process.address, options=FAST_RECONNECT) as channel:
                yield Far(process, proxy, pb_grpc.LedgerServiceStub(channel), superuser)
        finally:
            process.kill()
    assert "Traceback" not in process.log
    assert (await verify(store.owner_url)).findings == []
    await superuser.close()


async def test_a_silent_database_costs_callers_no_more_than_their_deadline(far: Far) -> None:
    await far.refine(request())
    far.proxy.silence()
    requests = [request(f"silent/{number}") for number in range(16)]
    begin = time.monotonic()
    reasons = await asyncio.gather(
        *(reason_of(far.refine(one, seconds=1)) for one in requests),
        *(reason_of(far.read(seconds=1)) for _ in range(16)),
    )
    assert time.monotonic() - begin < 20
    assert set(reasons) <= {"DEADLINE_EXCEEDED", "OVERLOADED", "DATABASE_UNAVAILABLE"}
    far.proxy.speak()
    answers = [await far.refine(one) for one in requests]
    assert [await far.position(one) for one in requests] == [answer.refinement.position for answer in answers]


async def test_an_answer_that_is_lost_leaves_the_outcome_unknown_until_it_is_asked_again(far: Far) -> None:
    await far.refine(request())
    far.proxy.deafen()
    lost = request("lost")
    call = asyncio.create_task(reason_of(far.refine(lost)))
    position = await far.until_committed(lost)
    far.proxy.break_all()
    assert await call == "OUTCOME_UNKNOWN"
    again = await far.refine(lost)
    assert (again.replayed, again.refinement.position) == (True, position)


async def test_a_session_that_is_ended_before_its_commit_leaves_the_outcome_unknown_too(far: Far) -> None:
    ended = request("ended")
    async with far.superuser.transaction():
        await far.superuser.execute("lock table refinery.refinements in exclusive mode")
        call = asyncio.create_task(reason_of(far.refine(ended)))
        await far.superuser.execute("select pg_terminate_backend($1)", await far.until_it_waits_for_a_lock())
        assert await call == "OUTCOME_UNKNOWN"
    assert await far.position(ended) is None
    again = await far.refine(ended)
    assert not again.replayed


async def test_a_database_that_cannot_be_reached_has_certainly_written_nothing(far: Far) -> None:
    await far.refine(request())
    await far.proxy.close()
    await far.until_refused("DATABASE_UNAVAILABLE")
    requests = [request(f"never/{number}") for number in range(16)]
    assert {await reason_of(far.refine(one)) for one in requests} == {"DATABASE_UNAVAILABLE"}
    assert {await reason_of(far.read()) for _ in range(4)} == {"DATABASE_UNAVAILABLE"}
    assert [await far.position(one) for one in requests] == [None] * 16
    await far.proxy.open()
    answers = [await far.refine(one) for one in requests]
    assert not any(answer.replayed for answer in answers)


async def test_connections_that_died_silently_are_given_up_in_time(far: Far) -> None:
    """The network forgot them: new ones work, but the old ones fail without an error."""
    await asyncio.gather(*(far.refine(request()) for _ in range(16)), *(far.read() for _ in range(16)))
    far.proxy.silence(new_ones_too=False)
    lost = [request(f"lost/{number}") for number in range(8)]
    begin = time.monotonic()
    reasons = ["?"]
    while set(reasons) != {"OK"}:
        assert time.monotonic() - begin < GIVEN_UP_SECONDS, reasons
        reasons = await asyncio.gather(*(reason_of(far.refine(one, seconds=1)) for one in lost))
    print(f"given up after {time.monotonic() - begin:.1f} s")
