"""A rolling upgrade: programs of the last release and of today beside each other, and no call fails."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from refinery_client import Refinery
from refinery_core.postgres.migrate import migrate
from refinery_core.postgres.release import THIS, Release
from tests.conftest import Database
from tests.released.stored import Released
from tests.support.load import Load, check, prepare
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE, until

NEXT = "999.0.0"
SOME = 150
"""Acknowledged refines at each stage of the upgrade."""


@pytest.fixture
def newer(tmp_path: Path) -> Release:
    """Today's SQL and a function more, as a release that comes later than both."""
    folder = tmp_path / "sql"
    shutil.copytree(str(THIS.folder), folder)
    harmless = "create or replace function refinery.harmless() returns int language sql as 'select 1';"
    (folder / "functions/harmless.sql").write_text(harmless)
    return Release(number=NEXT, folder=folder)


async def test_no_call_fails_while_a_release_is_replaced_by_the_next_one(
    released: Released, released_database: Database, newer: Release, tmp_path: Path
) -> None:
    old = {**released.environment, "REFINERY_LOG_LEVEL": "info"}
    ledgers = [
        ServiceProcess("ledger_service", released_database.app_url, tmp_path / f"{name}.log", **old)
        for name in ("a", "b")
    ]
    both = "ipv4:" + ",".join(ledger.address for ledger in ledgers)
    try:
        for ledger in ledgers:
            ledger.start()
            await ledger.ready()
        await prepare(ledgers[0].address)
        with Load(both) as load:

            async def goes_on() -> None:
                await asyncio.to_thread(load.wait_for, SOME)

            await goes_on()
            applied = await migrate(released_database.owner_url, release=newer)
            assert "functions/harmless.sql" in applied
            await goes_on()
            note = f"The database was migrated to {NEXT}"
            await until(lambda: all(note in ledger.log for ledger in ledgers))
            for ledger in ledgers:
                await ledger.ready()
                await replace(ledger)
                assert ledger.log.count(note) == 1
                await goes_on()
            assert {await program(ledger) for ledger in ledgers} == {THIS.number}
    finally:
        for ledger in ledgers:
            ledger.kill()
    assert not any("Traceback" in ledger.log or "INTERNAL" in ledger.log for ledger in ledgers)
    await check(released_database.owner_url, load.acknowledged)


async def replace(ledger: ServiceProcess) -> None:
    """Stop a program of the release politely, and start today's in its place."""
    ledger.terminate()
    assert await asyncio.to_thread(ledger.exit_code, PATIENCE) == 0
    ledger.becomes({})
    ledger.start()
    await ledger.ready()


async def program(ledger: ServiceProcess) -> str:
    """Which version answers."""
    async with Refinery.connect(ledger=ledger.address, timeout_seconds=PATIENCE) as refinery:
        return (await refinery.get_ledger()).versions.program
