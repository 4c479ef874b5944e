"""The resolver service: `python -m resolver_service`."""

from __future__ import annotations

from refinery.resolver.v1 import resolver_service_pb2_grpc as pb_grpc
from refinery_core import logs
from refinery_core.kept import Kept
from refinery_core.postgres.identity import answering_for
from refinery_core.postgres.opening import opened
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Service, run, serve
from refinery_core.settings import from_environment
from refinery_core.stored.composition import Composer
from refinery_core.stored.rights import Rights, principals
from refinery_core.stored.vibes import Vibes
from resolver_service.schemas import Schemas
from resolver_service.servicer import ResolverServicer
from resolver_service.settings import Settings

NAME = "refinery.resolver.v1.ResolverService"


async def main() -> None:
    """Settings, pool, service, serve, drain."""
    settings = from_environment(Settings)
    logs.configure(service="resolver", form=settings.log_format, level=settings.log_level)
    tls = settings.opened()
    async with (
        authenticating() as authentication,
        opened(
            settings.database_url,
            password=settings.database_password,
            application_name="refinery-resolver",
            pooler=settings.pooler,
            max_size=settings.pool_size,
            writes=False,
        ) as (database, readiness),
    ):
        vibes = Vibes(database, cache_bytes=settings.cache_mib << 20)
        composer = Composer(vibes, settings.schemas_mib << 20, settings.validators_mib << 20)
        servicer = ResolverServicer(
            Schemas(vibes, composer, Rights(database, principals(settings.root))),
            answers=Kept(settings.answers_mib << 20),
            dependents=Kept(settings.dependents_mib << 20),
        )
        service = Service(
            NAME, lambda server: pb_grpc.add_ResolverServiceServicer_to_server(servicer, server)
        )
        await serve(
            [service],
            listen=settings.listen,
            tls=tls,
            health_listen=settings.health_listen,
            drain=Drain(),
            readiness=readiness,
            metadata=await answering_for(database),
            authentication=authentication,
        )


if __name__ == "__main__":
    run(main)
