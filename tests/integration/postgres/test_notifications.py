from __future__ import annotations

from contextlib import aclosing

import pytest

from ledger_service.notifications import Notifications, sessions
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool
from tests.conftest import Database
from tests.support.waiting import until


@pytest.mark.parametrize("url", [None, "another"])
async def test_the_session_begins_again_when_all_connections_are_given_up(
    database: Database, url: str | None
) -> None:
    """It may listen to the server that was left behind, which notifies of nothing."""
    heard: list[int] = []
    async with (
        await open_pool(database.app_url, application_name="t") as pool,
        sessions(Store(pool), url and database.app_url) as listening,
        aclosing(Notifications(listening, heard.append)) as notifications,
    ):
        for _ in range(2):
            await until(lambda: 0 in heard)
            heard.clear()
            await pool.expire()
        await until(lambda: 0 in heard)
        notifications.tell(7)
        await until(lambda: 7 in heard)
