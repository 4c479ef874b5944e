"""After any crash, every acknowledged write is there, once, and the service comes back by itself."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterable, Awaitable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import grpc

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_client import DeadlineExceeded, Draft, Refine, Refinery
from refinery_core.errors import DatabaseUnavailable
from refinery_core.vibe.model import VibeType
from tests.faults.store import Store
from tests.support.load import AUTHOR, Load, check
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE, until

CRASHES = 6
BETWEEN = 200
"""Acknowledged refines between two crashes."""
RESTARTS = 3
AWAY_SECONDS = 4.0
"""The seconds until a killed ledger is started again."""
CONFIG = Path(__file__).parents[2] / "proto/service_config.json"


def test_a_database_that_crashes_under_load_loses_nothing(store: Store, ledger: ServiceProcess) -> None:
    pauses, pid = [], ledger.pid
    with Load(ledger.address) as load:
        for _ in range(CRASHES):
            load.wait_for(BETWEEN)
            store.crash()
            store.server.start()
            pauses.append(load.wait_for(1))
        load.wait_for(BETWEEN)
    assert (ledger.is_running, ledger.pid) == (True, pid)
    assert "Traceback" not in ledger.log
    _tell(load, pauses)
    asyncio.run(check(store.owner_url, load.acknowledged))


def test_a_ledger_that_crashes_under_load_loses_nothing(store: Store, ledger: ServiceProcess) -> None:
    pauses = []
    with Load(ledger.address) as load:
        for _ in range(CRASHES):
            load.wait_for(BETWEEN)
            ledger.kill()
            ledger.start()
            begin = time.monotonic()
            asyncio.run(ledger.ready())
            load.wait_for(1)
            pauses.append(time.monotonic() - begin)
        load.wait_for(BETWEEN)
    _tell(load, pauses)
    asyncio.run(check(store.owner_url, load.acknowledged))


def test_a_ledger_that_is_stopped_and_started_under_load_fails_nobody(
    store: Store, ledger: ServiceProcess
) -> None:
    """gRPC drops calls that arrive as it stops as CANCELLED; they are sent again, like UNAVAILABLE ones."""
    with Load(ledger.address) as load:
        for _ in range(RESTARTS):
            load.wait_for(BETWEEN)
            ledger.terminate()
            assert ledger.exit_code(PATIENCE) == 0
            ledger.start()
            load.wait_for(1)
    asyncio.run(check(store.owner_url, load.acknowledged))


async def test_whoever_calls_is_answered_over_a_ledger_that_was_killed(ledger: ServiceProcess) -> None:
    """A client that knows nothing but the service config, and ours as it is."""
    only_config = [("grpc.service_config", CONFIG.read_text()), ("grpc.use_local_subchannel_pool", 1)]
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id="over")
    request = pb.RefineRequest(request_id=str(uuid4()), author_ref=AUTHOR, drafts=[draft])
    async with (
        grpc.aio.insecure_channel(ledger.address, only_config) as channel,
        Refinery.connect(ledger=ledger.address) as refinery,
    ):
        stub = pb_grpc.LedgerServiceStub(channel)
        await stub.GetVibe(pb.GetVibeRequest(reference=AUTHOR))
        await refinery.get_vibe(AUTHOR)
        ledger.kill()
        ours = Refine(author_ref=AUTHOR, drafts=[Draft(type=VibeType.RECORD, id="ours")])
        asking = [
            asyncio.ensure_future(call)
            for call in (
                _answer(stub.GetVibe(pb.GetVibeRequest(reference=AUTHOR))),
                _answer(stub.Refine(request)),
                _first(stub.TraceLineage(pb.TraceLineageRequest(reference=AUTHOR))),
                refinery.get_vibe(AUTHOR),
                refinery.refine(author_ref=AUTHOR, drafts=ours.drafts),
                _first(refinery.refine_many([ours])),
                _first(refinery.trace_lineage(AUTHOR)),
            )
        ]
        await asyncio.sleep(AWAY_SECONDS)
        assert not any(asked.done() for asked in asking)
        ledger.start()
        begin = time.monotonic()
        assert all(await asyncio.gather(*asking))
        print(f"answered {time.monotonic() - begin:.1f} s after it was started again")


async def _answer(call: Awaitable[Any]) -> Any:
    return await call


async def _first(answers: AsyncIterable[Any]) -> Any:
    async for answer in answers:
        return answer
    raise AssertionError("nothing came")


def test_a_resolver_comes_back_with_its_database(
    store: Store, ledger: ServiceProcess, tmp_path: Path
) -> None:
    resolver = ServiceProcess("resolver_service", store.reader_url, tmp_path / "resolver.log")

    async def ask(seconds: float) -> str:
        async with Refinery.connect(resolver=resolver.address) as refinery:
            asked = await refinery.resolve_reference("aug:/schemas/base", timeout_seconds=seconds)
        return asked.vibe.ref

    async def is_away() -> bool:
        try:
            await ask(0.5)
        except DatabaseUnavailable:
            return True
        except DeadlineExceeded:  # On a busy machine it may not come so far.
            return False
        raise AssertionError("it answered without its database")

    try:
        resolver.start()
        asyncio.run(resolver.ready())
        pid = resolver.pid
        for _ in range(2):
            store.crash()
            asyncio.run(until(is_away))
            store.server.start()
            assert asyncio.run(ask(PATIENCE)) == "main@schemas/base?1"
        assert (resolver.is_running, resolver.pid) == (True, pid)
        assert "Traceback" not in resolver.log
    finally:
        resolver.kill()


def _tell(load: Load, pauses: list[float]) -> None:
    again = sum(refined.replayed for _, refined in load.acknowledged)
    print(f"{len(load.acknowledged)} acknowledged, {again} of them when asked again; ", end="")
    print(f"back after at most {max(pauses):.2f} s")


SESSIONS = """
select pid from pg_stat_activity where application_name = 'refinery-ledger' and datname = $1
"""


def test_sessions_that_are_ended_under_load_lose_nothing(store: Store, ledger: ServiceProcess) -> None:
    chance = random.Random(7)

    async def end_one() -> bool:
        connection = await asyncpg.connect(store.owner_url)
        try:
            pids = [row["pid"] for row in await connection.fetch(SESSIONS, store.name)]
            return bool(pids) and await connection.fetchval(
                "select pg_terminate_backend($1)", chance.choice(pids)
            )
        finally:
            await connection.close()

    with Load(ledger.address) as load:
        ended = 0
        while ended < 20:
            load.wait_for(5)
            ended += asyncio.run(end_one())
        load.wait_for(BETWEEN)
    assert "Traceback" not in ledger.log
    asyncio.run(check(store.owner_url, load.acknowledged))


async def test_watches_go_on_when_their_database_is_back_and_see_each_refinement_once(
    store: Store, ledger: ServiceProcess
) -> None:
    async with (
        grpc.aio.insecure_channel(ledger.address) as channel,
        Refinery.connect(ledger=ledger.address, timeout_seconds=PATIENCE) as refinery,
    ):
        stub = pb_grpc.LedgerServiceStub(channel)
        views = (vibe_pb2.VIBE_VIEW_BASIC, vibe_pb2.VIBE_VIEW_FULL)
        calls: list[Any] = [
            stub.WatchVibes(pb.WatchVibesRequest(id_prefix="seen/", view=views[number % 2]))
            for number in range(6)
        ]
        seen: list[list[str]] = [[] for _ in calls]

        async def read_until(count: int) -> None:
            async with asyncio.timeout(PATIENCE):
                for call, refs in zip(calls, seen, strict=True):
                    while len(refs) < count:
                        refs += [vibe.ref for vibe in (await call.read()).vibes]

        for number in range(6):
            draft = Draft(type=VibeType.RECORD, id=f"seen/{number}")
            await refinery.refine(author_ref=AUTHOR, drafts=[draft])
            if number == 0:
                await read_until(1)  # A watch that has not begun may be refused.
            if number % 2 == 0:
                store.crash()
                store.server.start()
        await read_until(6)
        for call, refs in zip(calls, seen, strict=True):
            assert refs == [f"main@seen/{number}?1" for number in range(6)]
            call.cancel()
    assert "Traceback" not in ledger.log
