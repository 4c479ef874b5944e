from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.postgres.migrate import migrate, state
from refinery_core.postgres.opening import opened
from refinery_core.settings import CannotStart
from tests.cases.waiting import PATIENCE
from tests.conftest import Database, fresh


async def test_a_role_that_may_not_add_to_the_ledger_is_no_role_for_the_ledger(database: Database) -> None:
    for url, writes in ((database.app_url, True), (database.reader_url, False)):
        async with opened(url, application_name="t", max_size=2, writes=writes) as store:
            assert await store.is_ready()
    with pytest.raises(CannotStart, match="names a role that may not add to the ledger"):
        async with opened(database.reader_url, application_name="t", max_size=2, writes=True):
            pass


async def test_who_waits_for_a_migration_says_so_at_once_and_goes_on_after_it(
    postgres: EmbeddedPostgres, template: str
) -> None:
    async with fresh(postgres, "template0") as name:
        with capture_logs() as logged:
            opening = opened(
                postgres.url(name, "refinery_app"), application_name="t", max_size=2, writes=True
            )
            waiting = asyncio.create_task(opening.__aenter__())
            async with asyncio.timeout(PATIENCE):
                while not logged:
                    await asyncio.sleep(0.01)
            assert logged[0]["event"] == "the database is not at this version: run 'refinery migrate'"
            assert logged[0]["missing"] == state()
            await migrate(postgres.url(name))
            assert await (await waiting).is_ready()
            await opening.__aexit__(None, None, None)
        assert len(logged) == 1


async def test_who_waited_long_enough_for_a_migration_does_not_start(
    postgres: EmbeddedPostgres, template: str
) -> None:
    async with fresh(postgres, "template0") as name:
        url = postgres.url(name, "refinery_reader")
        with pytest.raises(CannotStart, match="is not at this version after 0 s: run 'refinery migrate'"):
            async with opened(url, application_name="t", max_size=1, writes=False, patience=0):
                pass
