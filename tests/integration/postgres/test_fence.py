from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from refinery_core.errors import DatabaseUnavailable
from refinery_core.postgres.connecting import each_host_first
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.fence import MOST_PLACES, Fence, Place
from refinery_core.postgres.migrate import migrate
from refinery_core.postgres.pool import open_pool
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.seeded import FIRST, SEEDED
from tests.conftest import Database, fresh
from tests.sql.test_refine import columns, draft, request


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def refine(url: str, count: int = 1) -> None:
    """Refine in one of several databases of one ledger: for the others that is another history."""
    async with await open_pool(url, application_name="t", max_size=1) as pool:
        for _ in range(count):
            await Store(pool).refine(*columns([request(draft("x"), request_id=str(uuid4()))]))


async def refused(fence: Fence, url: str) -> str:
    """The reason of a refusal."""
    with capture_logs() as logged:
        async with connected(url) as connection:
            with pytest.raises(DatabaseUnavailable):
                await fence.check(connection)
    (line,) = logged
    assert line["log_level"] == "error"
    return str(line["event"]).removeprefix("a database is refused: ")


async def seen(*urls: str) -> Fence:
    fence = Fence()
    for url in urls:
        async with connected(url) as connection:
            assert not await fence.check(connection)
    return fence


async def test_another_ledger_is_refused(database: Database, empty_database: str) -> None:
    await migrate(empty_database)
    assert await refused(await seen(database.app_url), empty_database) == "it has another ledger"


async def test_a_database_without_a_ledger_is_refused_once_a_ledger_was_seen(
    database: Database, empty_database: str
) -> None:
    fence = await seen(empty_database, database.app_url)
    assert await refused(fence, empty_database) == "it has no ledger"


async def test_a_ledger_that_went_another_way_is_refused_by_whatever_was_seen_of_it(
    database: Database, postgres: EmbeddedPostgres, template: str
) -> None:
    async with fresh(postgres, template) as name:
        other = postgres.url(name, "refinery_app")
        await refine(database.app_url, 2)
        await refine(other, 5)
        fence = await seen(database.app_url)
        assert await refused(fence, other) == f"its history is another one before position {FIRST + 1}"


async def test_a_ledger_that_is_behind_is_refused_and_one_that_is_ahead_is_not(
    database: Database, postgres: EmbeddedPostgres, template: str
) -> None:
    async with fresh(postgres, template) as name:
        await refine(database.app_url)
        fence = await seen(postgres.url(name), database.app_url)
        assert await refused(fence, postgres.url(name)) == "it is behind, or its end was cut off"


async def test_much_is_seen_and_some_of_it_remembered(database: Database) -> None:
    fence = await seen(database.app_url)
    for position in range(FIRST, 100_000):
        fence.committed(position, b"")
        assert len(fence._places) <= MOST_PLACES
    positions = [place.position for place in fence._places]
    assert positions == sorted(positions)
    assert positions[0] == SEEDED
    assert positions[-1] > 99_900
    assert fence.written == (99_999, b"")
    assert sum(position < 50_000 for position in positions) > 2, "not only what is new"
    assert sum(position > 99_000 for position in positions) > 3, "not only what is old"


async def test_nothing_is_written_into_a_database_that_does_not_have_what_was_seen(
    database: Database,
) -> None:
    """Over a connection that was made before, or behind a pooler: each write looks for itself."""
    async with await open_pool(database.app_url, application_name="t", max_size=1) as pool:
        store = Store(pool)
        await store.refine(*columns([request(draft("x"))]))
        for place in (Place(FIRST, b"another"), Place(FIRST + 1, b"ahead")):
            pool.fence._written = place
            with pytest.raises(DatabaseUnavailable):
                await store.refine(*columns([request(draft("x"), request_id=str(uuid4()))]))
        async with connected(database.owner_url) as connection:
            assert await connection.fetchval("select max(position) from refinery.refinements") == FIRST


@pytest.mark.parametrize(
    ("url", "turned"),
    [
        ("postgresql://me@/db?host=/tmp&port=1", ["postgresql://me@/db?host=/tmp&port=1"]),
        ("postgresql://me:pw@a:1/db", ["postgresql://me:pw@a:1/db"]),
        ("postgresql:///db", ["postgresql:///db"]),
        (
            "postgresql://me@a:1,b,c:3/db?target_session_attrs=read-write",
            [
                "postgresql://me@a:1,b,c:3/db?target_session_attrs=read-write",
                "postgresql://me@b,c:3,a:1/db?target_session_attrs=read-write",
                "postgresql://me@c:3,a:1,b/db?target_session_attrs=read-write",
            ],
        ),
    ],
)
def test_each_server_of_an_address_comes_first_once(url: str, turned: list[str]) -> None:
    assert each_host_first(url) == turned
