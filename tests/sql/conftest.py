"""The store of the tests of SQL functions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from refinery_local.postgres import EmbeddedPostgres
from tests.support.store import Store


async def execute(url: str, *statements: tuple[Any, ...]) -> None:
    """Run statements, each with its arguments, on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        for sql, *arguments in statements:
            await connection.execute(sql, *arguments)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def store(postgres: EmbeddedPostgres, template: str) -> Iterator[Store]:
    name = "test_composition"

    asyncio.run(execute(postgres.url("postgres"), (f"create database {name} template {template}",)))
    store = Store(postgres.url(name))
    yield store
    store.close()
    asyncio.run(execute(postgres.url("postgres"), (f"drop database {name}",)))
