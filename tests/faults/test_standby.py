"""Two ledgers on one server: one waits for a standby that is away, and the other does not wait with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from ledger_service.notifications import CHANNEL
from refinery_core.postgres.queries import QUERIES
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.faults.conftest import TEMPLATE
from tests.support.ledger import Ledger, record, running
from tests.support.waiting import PATIENCE, until

WAITS = "select count(*) from pg_stat_activity where datname = $1 and wait_event = 'SyncRep'"


@pytest.fixture
async def superuser(durable: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    durable.start()
    connection = await asyncpg.connect(durable.url("postgres"))
    try:
        yield connection
    finally:
        await set_standby(connection, "")
        await connection.close()


async def set_standby(superuser: asyncpg.Connection, name: str) -> None:
    await superuser.execute(f"alter system set synchronous_standby_names = '{name}'")
    await superuser.execute("select pg_reload_conf()")
    await until(lambda: is_set(superuser, name))


async def is_set(superuser: asyncpg.Connection, name: str) -> bool:
    return bool(await superuser.fetchval("select current_setting('synchronous_standby_names') = $1", name))


@asynccontextmanager
async def ledger_on(
    durable: EmbeddedPostgres, superuser: asyncpg.Connection, name: str, synchronous_commit: str
) -> AsyncIterator[Ledger]:
    await superuser.execute(f"drop database if exists {name} with (force)")
    await superuser.execute(f"create database {name} template {TEMPLATE}")
    await superuser.execute(f"alter database {name} set synchronous_commit = {synchronous_commit}")
    urls = [durable.url(name, role) for role in ("refinery_app", "refinery_reader", "postgres")]
    async with running(Database(name, *urls)) as ledger:
        yield ledger


async def heard(connection: asyncpg.Connection) -> asyncio.Queue[str]:
    queue: asyncio.Queue[str] = asyncio.Queue()

    def hear(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        queue.put_nowait(payload)

    await connection.add_listener(CHANNEL, hear)
    return queue


async def test_a_ledger_that_waits_for_its_standby_holds_up_no_other_ledger_of_the_server(
    durable: EmbeddedPostgres, superuser: asyncpg.Connection
) -> None:
    async with (
        ledger_on(durable, superuser, "waits", "on") as first,
        ledger_on(durable, superuser, "does_not", "local") as second,
    ):
        await set_standby(superuser, "nobody")
        waiting = asyncio.create_task(first.record("a"))
        await until(lambda: superuser.fetchval(WAITS, "waits"))
        async with asyncio.timeout(PATIENCE):
            made = [await second.record("b") for _ in range(50)]
        assert [vibe.revision for vibe in made] == [*range(1, 51)]
        assert not waiting.done()
        await set_standby(superuser, "")
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).ref == "main@a?1"


async def test_a_notification_waits_for_no_standby_even_if_it_has_written_something(
    durable: EmbeddedPostgres, superuser: asyncpg.Connection
) -> None:
    async with ledger_on(durable, superuser, "tells", "on") as ledger:
        listener = await asyncpg.connect(ledger.database.reader_url)
        teller = await asyncpg.connect(ledger.database.app_url)
        try:
            queue = await heard(listener)
            await set_standby(superuser, "nobody")
            async with asyncio.timeout(PATIENCE):
                async with teller.transaction():
                    # As a session does on its way that prunes a page of the catalogue.
                    await teller.execute("select pg_logical_emit_message(true, 'refinery', 'written')")
                    await teller.execute(QUERIES["notify"], "5")
                assert await queue.get() == "5"
            assert await teller.fetchval("show synchronous_commit") == "on"
        finally:
            teller.terminate()
            await listener.close()


async def test_many_commits_at_once_are_told_in_few_notifications_and_the_last_one_is(
    durable: EmbeddedPostgres, superuser: asyncpg.Connection
) -> None:
    async with ledger_on(durable, superuser, "tells", "local") as ledger:
        listener = await asyncpg.connect(ledger.database.reader_url)
        try:
            queue = await heard(listener)
            await asyncio.gather(*(ledger.refine(record(f"a/{number}")) for number in range(300)))
            last, count = 0, 0
            async with asyncio.timeout(PATIENCE):
                while last < await ledger.last_position():
                    last, count = int(await queue.get()), count + 1
            assert count < 100
        finally:
            await listener.close()
