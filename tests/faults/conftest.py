"""A durable PostgreSQL of their own for the tests that kill, and a ledger process on it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.postgres.migrate import create_database, migrate
from tests.cases.load import prepare
from tests.cases.processes import ServiceProcess

TEMPLATE = "faults_template"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Store:
    """A PostgreSQL that may be killed, and one database in it."""

    server: EmbeddedPostgres
    name: str

    @property
    def app_url(self) -> str:
        return self.server.url(self.name, "refinery_app")

    @property
    def reader_url(self) -> str:
        return self.server.url(self.name, "refinery_reader")

    @property
    def owner_url(self) -> str:
        return self.server.url(self.name)

    def crash(self) -> None:
        """SIGKILL the server and all its children, each by its id: none of them says another word."""
        pid = self.server.pid
        assert pid is not None
        everybody = [pid, *_children(pid)]
        for one in everybody:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.server.kill()


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children")
    if told.exists():
        return [int(child) for child in told.read_text().split()]
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


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
    """A database that holds nothing but the genesis. It goes with the server."""
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
    """A ledger as a process of its own, in which the load finds what it refers to."""
    process = ServiceProcess("ledger_service", store.app_url, tmp_path / "ledger.log")
    try:
        process.start()
        asyncio.run(process.ready())
        asyncio.run(prepare(process.address))
        yield process
    finally:
        process.kill()
