"""The largest legal request of every RPC is answered, and does not keep others from refining meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.at_the_limits import probing
from benchmarks.limits import CASES, Limits, connected, prepare
from refinery.ledger.v1 import ledger_service_pb2
from refinery.resolver.v1 import resolver_service_pb2
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import fresh
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

DEPENDENTS, REVISIONS = 10_000, 20_000
"""A fifth of what `make bench` asks about: what grows with them is held by the tests of the plans."""


@dataclass(frozen=True)
class Served:
    """Ledger and resolver as processes, and what prepare() left."""

    ledger: str
    resolver: str
    prepared: Limits


@contextmanager
def process(module: str, database_url: str, log: Path) -> Iterator[ServiceProcess]:
    """Run a service, and see that it ends as it should."""
    service = ServiceProcess(module, database_url, log)
    try:
        service.start()
        yield service
        service.terminate()
        assert service.exit_code(PATIENCE) == 0
    finally:
        service.kill()


@pytest.fixture(scope="module")
def served(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    logs = tmp_path_factory.mktemp("logs")
    with asyncio.Runner() as runner, ExitStack() as stack:
        making = fresh(postgres, template)
        name = runner.run(making.__aenter__())
        urls = {"ledger_service": "refinery_app", "resolver_service": "refinery_reader"}
        ledger, resolver = (
            stack.enter_context(process(module, postgres.url(name, role), logs / module))
            for module, role in urls.items()
        )

        async def fill() -> Limits:
            await ledger.ready()
            await resolver.ready()
            async with connected(ledger.address, resolver.address) as limits:
                limits.dependents, limits.revisions = DEPENDENTS, REVISIONS
                await prepare(limits, postgres.url(name))
                return limits

        yield Served(ledger.address, resolver.address, runner.run(fill()))
        stack.close()
        runner.run(making.__aexit__(None, None, None))


@pytest.mark.parametrize("what", CASES)
async def test_the_largest_legal_request_is_answered_and_others_refine_meanwhile(
    served: Served, what: str
) -> None:
    async with connected(served.ledger, served.resolver) as limits, probing(served.ledger) as seconds:
        await CASES[what](
            dataclasses.replace(served.prepared, ledger=limits.ledger, resolver=limits.resolver)
        )
    assert seconds


def test_there_is_a_case_for_every_rpc() -> None:
    services = itertools.chain(
        ledger_service_pb2.DESCRIPTOR.services_by_name.values(),
        resolver_service_pb2.DESCRIPTOR.services_by_name.values(),
    )
    methods = {method.name for service in services for method in service.methods}
    assert {what.partition(":")[0] for what in CASES} == methods
