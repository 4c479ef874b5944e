"""The largest legal request of every RPC is answered, and keeps nobody from refining meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from benchmarks.at_the_limits import probing
from benchmarks.limits import CASES, Limits, connected, prepare
from refinery.ledger.v1 import ledger_service_pb2
from refinery.resolver.v1 import resolver_service_pb2
from refinery_core import leash
from refinery_core.postgres.embedded import EmbeddedPostgres
from tests.conftest import fresh

DEPENDENTS, REVISIONS = 10_000, 20_000
"""A fifth of what `make bench` asks about: what grows with them is held by the tests of the plans."""


@dataclass(frozen=True)
class Served:
    """Ledger and resolver as processes, and what prepare() left."""

    ledger: str
    resolver: str
    prepared: Limits


@contextlib.contextmanager
def process(module: str, database_url: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = {
        **os.environ,
        "REFINERY_DATABASE_URL": database_url,
        "REFINERY_LISTEN": address,
        "REFINERY_LOG_LEVEL": "error",
    }
    command = leash.command([sys.executable, "-m", module], at_parent_death=signal.SIGKILL)
    running = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    try:
        yield address
        running.terminate()
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.communicate()


@pytest.fixture(scope="module")
def served(postgres: EmbeddedPostgres, template: str) -> Iterator[Served]:
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        making = fresh(postgres, template)
        name = runner.run(making.__aenter__())
        ledger = stack.enter_context(process("ledger_service", postgres.url(name, "refinery_app")))
        resolver = stack.enter_context(process("resolver_service", postgres.url(name, "refinery_reader")))

        async def fill() -> Limits:
            async with connected(ledger, resolver) as limits:
                limits.dependents, limits.revisions = DEPENDENTS, REVISIONS
                await prepare(limits, postgres.url(name))
                return limits

        yield Served(ledger, resolver, runner.run(fill()))
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
