"""The last release, and a database that its own programs migrated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database, fresh
from tests.released.stored import Released, numbers, unpacked

WHERE = "import refinery_core; print(refinery_core.__file__)"


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """The last release that is stored."""
    last = unpacked(numbers()[-1], tmp_path_factory.mktemp("released"))
    assert run(last, "-c", WHERE).startswith(str(last.folder))
    return last


@pytest.fixture
async def released_database(postgres: EmbeddedPostgres, released: Released) -> AsyncIterator[Database]:
    """A database as the release left it."""
    async with fresh(postgres, "template0") as name:
        owner = postgres.url(name)
        run(released, "-m", "refinery_cli", "migrate", "--url", owner)
        app, reader = (postgres.url(name, f"refinery_{role}") for role in ("app", "reader"))
        yield Database(name, app, reader, owner)


def run(released: Released, *arguments: str) -> str:
    """Run the Python of the release, and return its output."""
    environment = {**os.environ, **released.environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
