"""A durable PostgreSQL of their own for the tests that kill, and a ledger process on it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from refinery_core.postgres.migrate import create_database, migrate
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import in_memory
from tests.faults.everybody import Everybody, at_work
from tests.faults.store import Store
from tests.support.load import prepare
from tests.support.processes import ServiceProcess
from tests.support.standby import NAME, Pair, pair_of

TEMPLATE = "faults_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def durable(postgres_bin: Path | None) -> Iterator[EmbeddedPostgres]:
    """A server that forgets nothing."""
    folder = Path(tempfile.mkdtemp(prefix="refinery-faults-"))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder / "postgres", bin_dir=postgres_bin) as server:
            asyncio.run(_make_template(server))
            yield server
    finally:
        shutil.rmtree(folder)


async def _make_template(server: EmbeddedPostgres) -> None:
    await create_database(server.url(TEMPLATE))
    await migrate(server.url(TEMPLATE))


@pytest.fixture
def store(durable: EmbeddedPostgres) -> Store:
    """A migrated database that nobody has written to. It goes with the server."""
    durable.start()
    name = f"faults_{next(_numbers)}"
    asyncio.run(_clone(durable.url("postgres"), name))
    return Store(durable, name)


async def _clone(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"create database {name} template {TEMPLATE}")
    finally:
        await connection.close()


@pytest.fixture
def ledger(store: Store, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A ledger as a process of its own, with the Vibes that the load refers to."""
    process = ServiceProcess("ledger_service", store.app_url, tmp_path / "ledger.log")
    try:
        process.start()
        asyncio.run(process.ready())
        asyncio.run(prepare(process.address))
        yield process
    finally:
        process.kill()


@pytest.fixture
async def everybody(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Everybody]:
    """All services of an execution, running."""
    async with at_work(store, tmp_path, monkeypatch) as everybody:
        yield everybody


@pytest.fixture(scope="module")
def stopped(postgres_bin: Path | None) -> Iterator[EmbeddedPostgres]:
    """A server with a ledger, which was stopped."""
    with in_memory() as folder:
        with EmbeddedPostgres(folder / "postgres", bin_dir=postgres_bin, durable=False) as server:
            asyncio.run(_make(server.url(NAME)))
        yield server


async def _make(url: str) -> None:
    await create_database(url)
    await migrate(url)
    connection = await asyncpg.connect(url)
    # What is acknowledged is sent to the standby, though no disk has it.
    await connection.execute(f"alter database {NAME} set synchronous_commit = on")
    await connection.close()


@pytest.fixture
def pair(stopped: EmbeddedPostgres) -> Iterator[Pair]:
    with in_memory() as folder, pair_of(stopped, folder) as pair:
        yield pair
