"""The one way to serve in the process of the tests: on a free port, until the block is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ledger_service.__main__ import NAME
from ledger_service.commit import Committer
from ledger_service.feed import Feed
from ledger_service.refine import Refiner
from ledger_service.servicer import LedgerServicer
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Patience, Service, serve
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes

SOON: Final = Patience(grace_seconds=1, linger_seconds=0)


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    port: int
    ended: asyncio.Task[None]

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def served(*services: Service, drain: Drain, **options: Any) -> AsyncIterator[Served]:
    """
    Serve on a free port, and drain when the block is left; `options` are those of `serve`.

    Raises:
        CannotStart: as `serve` does.
    """
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    options = {"listen": "127.0.0.1:0", "patience": SOON, **options}
    ended = asyncio.create_task(serve(services, drain=drain, started=port.set_result, **options))
    await asyncio.wait((ended, port), return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        await ended
    try:
        yield Served(await port, ended)
    finally:
        drain.ask()
        await ended


@asynccontextmanager
async def ledger_of(vibes: Vibes, drain: Drain) -> AsyncIterator[Service]:
    """The ledger, composed as its __main__ does, with a feed and a committer of its own."""
    store = vibes.database
    async with (
        aclosing(Feed(store, store.pool)) as feed,
        aclosing(Committer(store, committed=feed.committed)) as committer,
    ):
        servicer = LedgerServicer(Refiner(vibes, Composer(vibes), committer), vibes, feed, drain)
        yield Service(NAME, partial(pb_grpc.add_LedgerServiceServicer_to_server, servicer))
