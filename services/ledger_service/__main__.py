"""The ledger service: `python -m ledger_service`."""

from __future__ import annotations

from contextlib import aclosing

from ledger_service.commit import Committer
from ledger_service.feed import Feed
from ledger_service.notifications import sessions
from ledger_service.refine import Refiner
from ledger_service.servicer import LedgerServicer
from ledger_service.settings import Settings
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery_core import logs
from refinery_core.kept import Kept
from refinery_core.postgres.identity import answering_for
from refinery_core.postgres.opening import opened
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service, run, serve
from refinery_core.settings import from_environment
from refinery_core.stored.composition import Composer
from refinery_core.stored.denials import denials_kept
from refinery_core.stored.rights import Rights, principals
from refinery_core.stored.vibes import Vibes

NAME = "refinery.ledger.v1.LedgerService"


async def main() -> None:
    """Settings, pool, service, serve, drain."""
    settings = from_environment(Settings)
    logs.configure(service="ledger", form=settings.log_format, level=settings.log_level)
    tls = settings.opened()
    drain = Drain()
    async with (
        authenticating() as authentication,
        opened(
            settings.database_url,
            password=settings.database_password,
            application_name="refinery-ledger",
            pooler=settings.pooler,
            max_size=settings.pool_size,
            writes=True,
        ) as (database, readiness),
        sessions(database, settings.notifications_url, settings.database_password) as listening,
        aclosing(Feed(database, listening)) as feed,
        aclosing(Committer(database, committed=feed.committed)) as committer,
        denials_kept(database, "ledger"),
    ):
        vibes = Vibes(database, cache_bytes=settings.cache_mib << 20)
        composer = Composer(vibes, settings.schemas_mib << 20, settings.validators_mib << 20)
        refiner = Refiner(
            vibes,
            composer,
            committer,
            rights=Rights(database, principals(settings.root)),
            heads=settings.heads,
        )
        servicer = LedgerServicer(refiner, vibes, feed, drain, answers=Kept(settings.answers_mib << 20))
        service = Service(NAME, lambda server: pb_grpc.add_LedgerServiceServicer_to_server(servicer, server))
        await serve(
            [service],
            listen=settings.listen,
            tls=tls,
            health_listen=settings.health_listen,
            drain=drain,
            readiness=readiness,
            metadata=await answering_for(database),
            authentication=authentication,
        )


if __name__ == "__main__":
    run(main)
