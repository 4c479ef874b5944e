"""A ledger that runs on a database, in this process or as one of its own, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery_client import Draft, Refined, Refinery, Tls, Vibe
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool
from refinery_core.serving.connections import Connections
from refinery_core.serving.drain import Drain
from refinery_core.serving.tls import Tls as ServerTls
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context, VibeType
from tests.conftest import Database
from tests.support.processes import ServiceProcess
from tests.support.serving import ledger_of, served
from tests.support.waiting import PATIENCE

AUTHOR = "main@system/genesis?1"
IN_THE_CLEAR = Tls(tls="off")


def record(id_: str, **fields: Any) -> Draft:
    """A draft of a RECORD."""
    return Draft(type=VibeType.RECORD, id=id_, **fields)


@dataclass(frozen=True)
class Ledger:
    """A running ledger: a client of it, the stub of the contract, its database, and how to stop it."""

    refinery: Refinery
    stub: pb_grpc.LedgerServiceStub
    address: str
    database: Database
    drain: Drain

    async def refine(self, *drafts: Draft, **fields: Any) -> Refined:
        """Refine as genesis, unless an author is given."""
        return await self.refinery.refine(**{"author_ref": AUTHOR, **fields}, drafts=drafts)

    async def record(self, id_: str, solution: Any = None, *, branch: str = "", **inputs: Any) -> Vibe:
        """Refine one RECORD."""
        refined = await self.refine(record(id_, solution=solution), branch=branch, **inputs)
        return refined.vibes[0]

    async def branch(self, name: str, parent: str = "", **fields: Any) -> int:
        """Make a branch, and return its fork position."""
        created = await self.refinery.create_branch(name, author_ref=AUTHOR, parent=parent, **fields)
        assert created.branch.fork_position is not None
        return created.branch.fork_position

    async def ref(self, reference: str, branch: str = "main", as_of: Any = None) -> str:
        """The ref that a reference means in a context."""
        context = Context(branch, as_of)
        return (await self.refinery.get_vibe(reference, context=context, full=False)).ref

    async def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as its owner."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()

    async def last_position(self) -> int:
        """The last position of the ledger."""
        return int((await self.rows("select max(position) from refinery.refinements"))[0][0])


@asynccontextmanager
async def running(
    database: Database,
    *,
    cache_bytes: int = 64 << 20,
    tls: ServerTls | None = None,
    client: Tls = IN_THE_CLEAR,
    connections: Connections | None = None,
) -> AsyncIterator[Ledger]:
    """A ledger in this process; with TLS, and a client for it."""
    pool = await open_pool(database.app_url, application_name="refinery-ledger", max_size=12)
    store, drain = Store(pool), Drain()
    vibes = Vibes(store, cache_bytes=cache_bytes)
    async with (
        pool,
        ledger_of(vibes, drain) as service,
        served(service, drain=drain, readiness=store.is_ready, tls=tls, connections=connections) as server,
        Refinery.connect(
            ledger=server.address, resolver=server.address, tls=client, timeout_seconds=60
        ) as refinery,
        client.channels(())(server.address) as channel,
    ):
        yield Ledger(refinery, pb_grpc.LedgerServiceStub(channel), server.address, database, drain)


@asynccontextmanager
async def clients(addresses: Sequence[str], count: int) -> AsyncIterator[list[Refinery]]:
    """Many clients, spread over some servers."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Refinery.connect(ledger=addresses[number % len(addresses)], timeout_seconds=60)
            )
            for number in range(count)
        ]


@asynccontextmanager
async def ledger_process(database: Database, log: Path) -> AsyncIterator[str]:
    """The ledger as a process of its own; the address at which it answers."""
    process = ServiceProcess("ledger_service", database.app_url, log)
    try:
        process.start()
        await process.ready()
        yield process.address
        process.terminate()
        assert await asyncio.to_thread(process.exit_code, PATIENCE) == 0
    finally:
        process.kill()
