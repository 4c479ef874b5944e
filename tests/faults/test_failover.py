"""A standby is promoted, and the old primary comes back as if nothing had been: it is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from refinery_core.postgres.fence import Fence
from refinery_core.postgres.pool import open_pool, reading
from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.verify import verify
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.faults.asking import outcome, read, refined, serves
from tests.support.ledger import Ledger, running
from tests.support.proxy import Proxy
from tests.support.standby import NAME, Pair, asked
from tests.support.waiting import until


async def last_of(server: EmbeddedPostgres) -> int:
    """The last position of its ledger."""
    connection = await asyncpg.connect(server.url(NAME))
    try:
        return int(await connection.fetchval(QUERIES["last_position"]))
    finally:
        await connection.close()


@asynccontextmanager
async def ledger_at(url: str) -> AsyncIterator[Ledger]:
    async with running(Database(NAME, url, url, url)) as ledger:
        yield ledger


async def is_refused(ledger: Ledger) -> bool:
    """Whether a refine is refused, once the refines under way are settled."""
    reason = await outcome(refined(ledger))
    assert reason in {"DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN"}, reason
    return reason == "DATABASE_UNAVAILABLE"


async def is_read(ledger: Ledger) -> bool:
    return await outcome(read(ledger)) == "OK"


async def is_taken(ledger: Ledger) -> bool:
    return await outcome(refined(ledger)) == "OK"


@pytest.mark.parametrize("refines", [5, 0])
async def test_a_primary_that_was_left_behind_is_refused_at_the_old_address(pair: Pair, refines: int) -> None:
    proxy = Proxy(pair.primary.url(NAME, "refinery_app"))
    async with proxy.listening(), ledger_at(proxy.url) as ledger:
        for _ in range(3):
            await refined(ledger)
        await pair.promote()
        proxy.lead_to(pair.standby.url(NAME, "refinery_app"))
        proxy.break_all()
        for _ in range(refines):
            await until(lambda: is_taken(ledger))
        await until(lambda: is_read(ledger))
        before = await last_of(pair.primary)

        with capture_logs() as logged:
            proxy.lead_to(pair.primary.url(NAME, "refinery_app"))
            proxy.break_all()
            await until(lambda: is_refused(ledger))
            for _ in range(20):
                assert await outcome(refined(ledger)) == "DATABASE_UNAVAILABLE"
                assert await outcome(read(ledger)) == "DATABASE_UNAVAILABLE"
            await until(lambda: not_(serves(ledger)))
        (error,) = [line for line in logged if line["log_level"] == "error"]
        behind, left = (
            "it is behind, or its end was cut off",
            "it was left behind on timeline 1, and timeline 2 was seen",
        )
        assert error["event"] == f"a database is refused: {behind if refines else left}"
        assert (error["position"], error["seen_position"]) == (before, await last_of(pair.standby))
        assert await last_of(pair.primary) == before

        proxy.lead_to(pair.standby.url(NAME, "refinery_app"))
        proxy.break_all()
        await until(lambda: is_taken(ledger))
        await until(lambda: serves(ledger))
    assert (await verify(pair.standby.url(NAME))).findings == []


async def not_(met: Awaitable[bool]) -> bool:
    return not await met


async def test_of_two_servers_that_take_writes_the_one_that_was_promoted_is_found(pair: Pair) -> None:
    old, new = (Proxy(server.url(NAME, "refinery_app")) for server in (pair.primary, pair.standby))
    async with old.listening(), new.listening():
        hosts = ",".join(proxy.url.partition("@")[2].partition("/")[0] for proxy in (old, new))
        url = f"postgresql://refinery_app@{hosts}/{NAME}?target_session_attrs=read-write"
        async with ledger_at(url) as ledger:
            await refined(ledger)
            before = await last_of(pair.primary)
            await pair.promote()
            await old.close()
            await until(lambda: is_taken(ledger))
            await old.open()
            new.break_all()
            await until(lambda: is_taken(ledger))
            assert await last_of(pair.primary) == before


async def test_connections_to_the_old_primary_are_given_up_when_the_new_one_is_met(pair: Pair) -> None:
    """The old primary was only slow, or cut off: its clients do not know of the failover."""
    proxy = Proxy(pair.primary.url(NAME, "refinery_app"))
    async with (
        proxy.listening(),
        await open_pool(proxy.url, application_name="t", min_size=1, max_size=2) as pool,
    ):
        async with reading(pool) as first:
            await pair.promote()
            proxy.lead_to(pair.standby.url(NAME, "refinery_app"))
            async with reading(pool) as second:
                assert (await timeline(first), await timeline(second)) == (1, 2)
        async with reading(pool) as first, reading(pool) as second:
            assert (await timeline(first), await timeline(second)) == (2, 2)


async def timeline(connection: asyncpg.Connection) -> int:
    return int((await connection.fetchrow(QUERIES["timeline"]))["timeline"])


async def test_a_standby_that_lags_is_no_reason_to_refuse_it(pair: Pair) -> None:
    app, reader = (server.url(NAME, "refinery_app") for server in (pair.primary, pair.standby))
    fence = Fence()
    async with ledger_at(app) as ledger:
        await refined(ledger)
        await pair.caught_up()
        await asked(pair.standby, "select pg_wal_replay_pause()")
        for _ in range(3):
            await refined(ledger)
    for url in (app, reader, app):
        connection = await asyncpg.connect(url)
        await fence.check(connection)
        await connection.close()
    assert fence.written[0] == await last_of(pair.primary) == await last_of(pair.standby) + 3
