"""A database that takes no writes: reads are answered, and writes are refused."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from pathlib import Path

import asyncpg
from structlog.testing import capture_logs

from refinery_client import Refinery
from refinery_core.postgres.verify import verify
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.faults.asking import outcome, read, refined, serves
from tests.support.ledger import AUTHOR, Ledger, running
from tests.support.processes import ServiceProcess
from tests.support.standby import NAME, Pair
from tests.support.waiting import PATIENCE, until

SILENT_WRITES = 12
"""Refused, of which the log says nothing."""


def ledger_database(server: EmbeddedPostgres) -> Database:
    url = server.url(NAME, "refinery_app")
    return Database(NAME, url, server.url(NAME, "refinery_reader"), server.url(NAME))


async def is_taken(ledger: Ledger) -> bool:
    return await outcome(refined(ledger)) == "OK"


async def test_a_ledger_on_a_standby_answers_reads_and_refuses_writes_until_it_is_promoted(
    pair: Pair,
) -> None:
    with capture_logs() as logged:
        async with (
            running(ledger_database(pair.primary)) as primary,
            running(ledger_database(pair.standby)) as standby,
        ):
            known = str(uuid.uuid4())
            made = await refined(primary, request_id=known)
            await pair.caught_up()
            await until(lambda: serves(standby))
            assert (await standby.refinery.get_vibe("aug:/x")).ref == "main@x?1"
            async with aclosing(standby.refinery.watch(after_position=made.refinement.position)) as changes:
                more = await refined(primary)
                assert (await anext(changes)).position == more.refinement.position

            for _ in range(SILENT_WRITES):
                assert await outcome(refined(standby)) == "READ_ONLY"
            assert await outcome(refined(standby, request_id=known)) == "READ_ONLY", (
                "a replay is an answer, too"
            )
            assert await outcome(refined(standby, validate_only=True)) == "OK"
            assert await outcome(read(standby)) == "OK"
            assert await serves(standby)
            assert (await verify(pair.standby.url(NAME, "refinery_reader"))).findings == []

            await pair.promote()
            await until(lambda: is_taken(standby))
            assert (await refined(standby, request_id=known)).replayed
    told = [line["event"] for line in logged if line["log_level"] in ("warning", "error")]
    assert sorted(told) == [
        "no notifications; watches look for themselves",
        "the database takes no writes: it is a standby, or set to be read only",
    ]


async def test_a_resolver_on_a_standby_answers(pair: Pair, tmp_path: Path) -> None:
    url = pair.standby.url(NAME, "refinery_reader")
    resolver = ServiceProcess("resolver_service", url, tmp_path / "resolver.log")
    resolver.start()
    try:
        await resolver.ready()
        async with Refinery.connect(resolver=resolver.address, timeout_seconds=PATIENCE) as refinery:
            assert (await refinery.resolve_reference("aug:/system/genesis")).vibe.ref == AUTHOR
    finally:
        resolver.kill()
    assert resolver.log == ""


async def test_a_database_that_is_set_to_be_read_only_refuses_writes_until_it_is_set_back(
    database: Database,
) -> None:
    superuser = await asyncpg.connect(database.owner_url)
    async with running(database) as ledger:
        await refined(ledger)
        await superuser.execute(f"alter database {database.name} set default_transaction_read_only = on")
        await superuser.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await until(lambda: reason_is(ledger, "READ_ONLY"))
        await superuser.execute("set default_transaction_read_only = off")
        await superuser.execute(f"alter database {database.name} reset default_transaction_read_only")
        await until(lambda: is_taken(ledger))
    await superuser.close()


async def reason_is(ledger: Ledger, reason: str) -> bool:
    return await outcome(refined(ledger)) == reason
