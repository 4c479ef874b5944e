"""Both services in this process on one port, with a client that speaks to both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery_client import Draft, Refinery
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import VibeType
from resolver_service.__main__ import NAME as RESOLVER
from resolver_service.schemas import Schemas
from resolver_service.servicer import ResolverServicer
from tests.conftest import Database
from tests.support.serving import ledger_of, served
from tests.support.waiting import PATIENCE

AUTHOR = "main@system/genesis?1"


@dataclass(frozen=True)
class Services:
    """A running ledger and resolver: a client, the stubs, the database behind them, and the one address."""

    refinery: Refinery
    ledger: ledger_grpc.LedgerServiceStub
    resolver: resolver_grpc.ResolverServiceStub
    database: Database
    store: Store
    resolving: ResolverServicer
    address: str

    async def refine(self, *drafts: Draft, **fields: Any) -> list[str]:
        """Refine as genesis, and return the refs."""
        refined = await self.refinery.refine(author_ref=AUTHOR, drafts=drafts, **fields)
        return [vibe.ref for vibe in refined.vibes]

    async def record(self, id_: str, *, branch: str = "", **documents: Any) -> str:
        """Refine one RECORD, and return its ref."""
        (ref,) = await self.refine(Draft(type=VibeType.RECORD, id=id_, **documents), branch=branch)
        return ref

    async def fork(self, name: str, parent: str = "") -> None:
        """Make a branch."""
        await self.refinery.create_branch(name, author_ref=AUTHOR, parent=parent)

    async def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as its owner."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    """Both services on a migrated database that nobody has written to."""
    writing = await open_pool(database.app_url, application_name="refinery-ledger", max_size=4)
    reading = await open_pool(database.reader_url, application_name="refinery-resolver", max_size=4)
    drain = Drain()
    store = Store(reading)
    vibes, read = Vibes(Store(writing)), Vibes(store)
    async with (
        writing,
        reading,
        ledger_of(vibes, drain) as ledger,
    ):
        resolver = ResolverServicer(Schemas(read, Composer(read)))
        resolving = Service(RESOLVER, partial(resolver_grpc.add_ResolverServiceServicer_to_server, resolver))
        async with (
            served(ledger, resolving, drain=drain) as server,
            Refinery.connect(
                ledger=server.address, resolver=server.address, timeout_seconds=PATIENCE
            ) as refinery,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield Services(
                refinery,
                ledger_grpc.LedgerServiceStub(channel),
                resolver_grpc.ResolverServiceStub(channel),
                database,
                store,
                resolver,
                server.address,
            )
