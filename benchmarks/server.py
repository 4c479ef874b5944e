"""The process under measurement: ledger and resolver on one port, and beside them a bare grpc.aio echo."""

from __future__ import annotations

import os
import sys
from contextlib import aclosing

import grpc
from google.protobuf.message import Message

from ledger_service.__main__ import NAME as LEDGER
from ledger_service.commit import Committer
from ledger_service.feed import Feed
from ledger_service.refine import Refiner
from ledger_service.servicer import LedgerServicer
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery_core import logs
from refinery_core.postgres.database import Database
from refinery_core.postgres.pool import open_pool
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service, run, serve
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes
from resolver_service.__main__ import NAME as RESOLVER
from resolver_service.schemas import Schemas
from resolver_service.servicer import ResolverServicer


async def echo_server(port: int) -> grpc.aio.Server:
    """A server that does nothing with messages: no layers, no work."""

    async def echo(request: Message, _: object) -> Message:
        return request

    handlers: dict[str, grpc.RpcMethodHandler[Message, Message]] = {
        kind.__name__: grpc.unary_unary_rpc_method_handler(echo, kind.FromString, kind.SerializeToString)
        for kind in (pb.GetVibeResponse, resolver_pb.ResolveSchemaResponse)
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


async def main() -> None:
    """Serve until told to stop, as in production: the log is written, to /dev/null."""
    logs.configure(service="bench", form="json", level="info")
    listen, echo = os.environ["REFINERY_LISTEN"], await echo_server(int(sys.argv[1]))
    pool = await open_pool(os.environ["REFINERY_DATABASE_URL"], application_name="bench", max_size=12)
    database = Database(pool)
    vibes, drain = Vibes(database), Drain()
    async with (
        pool,
        aclosing(Feed(database, pool)) as feed,
        aclosing(Committer(database, committed=feed.committed)) as committer,
    ):
        ledger = LedgerServicer(Refiner(vibes, Composer(vibes), committer), vibes, feed, drain)
        resolver = ResolverServicer(Schemas(vibes, Composer(vibes)))
        services = [
            Service(LEDGER, lambda server: ledger_grpc.add_LedgerServiceServicer_to_server(ledger, server)),
            Service(
                RESOLVER, lambda server: resolver_grpc.add_ResolverServiceServicer_to_server(resolver, server)
            ),
        ]
        await serve(services, listen=listen, drain=drain, readiness=database.is_ready)
    await echo.stop(None)


if __name__ == "__main__":
    run(main)
