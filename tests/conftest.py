"""One PostgreSQL for the whole run, and a migrated database of its own for each test that asks for one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from refinery_core.postgres.migrate import create_database, migrate
from refinery_local.postgres import EmbeddedPostgres

# How long one example takes says how busy the machine is.
settings.register_profile("refinery", deadline=None)
settings.load_profile("refinery")

TEMPLATE = "refinery_template"
MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 2 << 30
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A migrated database that nobody has written to, and that is gone after the test."""

    name: str
    app_url: str
    reader_url: str
    owner_url: str
    """The superuser's."""


@pytest.fixture(scope="session")
def postgres_bin() -> Path | None:
    """The programs of another PostgreSQL to test on, from REFINERY_TEST_PG_BIN."""
    named = os.environ.get("REFINERY_TEST_PG_BIN")
    return Path(named) if named else None


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that any user may enter."""
    # Cloning a database is making 300 files: 8 ms in memory, up to 300 ms on a disk. SIGKILL loses neither.
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_MEMORY
    folder = Path(tempfile.mkdtemp(prefix="refinery-test-", dir=MEMORY if roomy else None))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike tmp_path when root."""
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(postgres_bin: Path | None) -> Iterator[EmbeddedPostgres]:
    """The server of this run. It forgets when the machine crashes; tests that kill start their own."""
    with (
        in_memory() as folder,
        EmbeddedPostgres(folder / "postgres", bin_dir=postgres_bin, durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database without connections."""

    async def make() -> None:
        await create_database(postgres.url(TEMPLATE))
        await migrate(postgres.url(TEMPLATE))

    with asyncio.Runner() as runner:
        runner.run(make())
    return TEMPLATE


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The superuser's address of a database with nothing in it."""
    async with fresh(postgres, "template0") as name:
        yield postgres.url(name)


@pytest.fixture
async def database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """A clone of the template."""
    async with fresh(postgres, template) as name:
        yield Database(
            name=name,
            app_url=postgres.url(name, "refinery_app"),
            reader_url=postgres.url(name, "refinery_reader"),
            owner_url=postgres.url(name),
        )


@contextlib.asynccontextmanager
async def fresh(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """The name of a clone that is dropped afterwards."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    try:
        await connection.execute(f"create database {name} template {template} strategy file_copy")
        yield name
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()
