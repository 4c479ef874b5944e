"""A ledger with content, cloned for each test, and the means to edit it behind its back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from refinery_core.postgres.verify import Finding, verify
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database, fresh
from tests.support.content import write_content
from tests.support.ledger import running

TABLES = ("refinements", "vibes", "vibe_refs", "branches", "vibe_branches")
CONTENT = "verify_content"


@pytest.fixture(scope="module")
def content(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a database with content, to be cloned."""

    async def make() -> None:
        await execute(postgres.url("postgres"), f"create database {CONTENT} template {template}")
        urls = [postgres.url(CONTENT, role) for role in ("refinery_app", "refinery_reader", "postgres")]
        async with running(Database(CONTENT, *urls)) as ledger:
            await write_content(ledger)

    asyncio.run(make())
    yield CONTENT
    asyncio.run(execute(postgres.url("postgres"), f"drop database {CONTENT} with (force)"))


@dataclass(frozen=True)
class Clone:
    """A ledger with content, and a superuser who means no good."""

    superuser: asyncpg.Connection
    superuser_url: str
    reader_url: str

    async def edit(self, sql: str, *arguments: object) -> None:
        """Edit rows, every one of which the triggers would protect."""
        status = await self.superuser.execute(sql, *arguments)
        assert status.split()[-1] != "0", f"nothing was edited: {status}"

    async def chain(self, position: int) -> bytes:
        """The chain at a position."""
        return await self.superuser.fetchval(  # type: ignore[no-any-return]
            "select chain from refinery.refinements where position = $1", position
        )

    async def end(self) -> tuple[int, bytes]:
        """A witness: the last position, and its chain."""
        row = await self.superuser.fetchrow(
            "select position, chain from refinery.refinements order by position desc limit 1"
        )
        return row["position"], row["chain"]

    async def findings(self, **options: Any) -> list[Finding]:
        return (await verify(self.reader_url, **options)).findings


@pytest.fixture
async def clone(postgres: EmbeddedPostgres, content: str) -> AsyncIterator[Clone]:
    async with fresh(postgres, content) as name:
        connection = await asyncpg.connect(postgres.url(name))
        for table in TABLES:
            await connection.execute(f"alter table refinery.{table} disable trigger all")
        yield Clone(connection, postgres.url(name), postgres.url(name, "refinery_reader"))
        await connection.close()


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
