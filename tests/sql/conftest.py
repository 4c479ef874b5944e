"""The store of the tests of SQL functions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from refinery_core.postgres.embedded import EmbeddedPostgres
from tests.cases.store import Store


@pytest.fixture(scope="session")
def store(postgres: EmbeddedPostgres, template: str) -> Iterator[Store]:
    name = "test_composition"

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(postgres.url("postgres"))
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run(f"create database {name} template {template}"))
    store = Store(postgres.url(name))
    yield store
    store.close()
    asyncio.run(run(f"drop database {name}"))
