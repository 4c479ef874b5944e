"""The process worker: `python -m process_worker`."""

from __future__ import annotations

from functools import partial
from typing import Final

from process_worker.activities.outside.gateway import Gateway
from process_worker.door.capabilities import Capabilities
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.door.servicer import NAME, ProcessServicer
from process_worker.records.ledger import Ledger
from process_worker.settings import Settings
from process_worker.temporal.client import Temporal
from process_worker.temporal.codec import keys_of
from process_worker.temporal.connect import connect, see_author, wait_for_ledger
from process_worker.temporal.payloads import converter
from process_worker.temporal.timetable import Timetable
from process_worker.worker import build, reaching
from refinery.process.v1 import process_service_pb2_grpc as pb_grpc
from refinery_client import Refinery
from refinery_core import logs
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Patience, Service, run, serve
from refinery_core.settings import from_environment

# After the calls, activities under way have `worker.GRACE` to end; another worker repeats the others.
_PATIENCE: Final = Patience(grace_seconds=10, end_seconds=23)
# Shorter than our callers' deadlines, so that they hear from us which service does not answer.
_CALL_SECONDS: Final = 10.0


async def main() -> None:
    """Settings, ledger, Temporal, worker, serve, drain."""
    settings = from_environment(Settings)
    logs.configure(service="process", form=settings.log_format, level=settings.log_level)
    tls = settings.opened()
    keys = keys_of(settings.temporal_keys, settings.temporal_key)
    gateway = Gateway.of(settings.http_allow, settings.http_ca)
    async with (
        authenticating() as authentication,
        Refinery.connect(
            ledger=settings.ledger, resolver=settings.resolver, timeout_seconds=_CALL_SECONDS
        ) as refinery,
    ):
        ledger, drain = Ledger(refinery), Drain()
        await wait_for_ledger(ledger, settings)
        await see_author(ledger, settings.worker_author_ref)
        client = await connect(settings, converter(refinery, settings.worker_author_ref, keys))
        temporal = Temporal(client)

        async def is_ready() -> bool:
            return await ledger.is_ready() and await temporal.is_ready()

        executions = Executions(ledger, temporal)
        schedules = Schedules(executions, Timetable(client))
        async with (
            reaching(refinery, gateway, children=settings.expression_children) as calls,
            build(client, calls, schedules),
        ):
            servicer = ProcessServicer(executions, schedules, Capabilities(ledger, calls), drain)
            service = Service(NAME, partial(pb_grpc.add_ProcessServiceServicer_to_server, servicer))
            await serve(
                [service],
                listen=settings.listen,
                tls=tls,
                health_listen=settings.health_listen,
                drain=drain,
                readiness=is_ready,
                patience=_PATIENCE,
                authentication=authentication,
            )


if __name__ == "__main__":
    run(main)
