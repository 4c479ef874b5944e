"""Behind a real PgBouncer all is as without one, whether it gives servers to sessions or transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from refinery_client import Draft, Refinery
from refinery_core.errors import Overloaded, QuestionTooLarge
from refinery_core.postgres.connecting import Pooler
from refinery_core.postgres.pool import open_pool, reading, writing
from refinery_core.postgres.verify import verify
from refinery_core.settings import CannotStart
from refinery_core.vibe.model import VibeType
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.seeded import FIRST, SEEDED
from tests.conftest import Database
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no PgBouncer here")

AUTHOR = "main@system/genesis?1"
CLIENTS, REFINES = 32, 4
SIZES: dict[Pooler, int] = {"session": 20, "transaction": 3}
"""Of servers: as many as there are sessions, and far fewer than there are."""
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


@dataclass(frozen=True)
class Behind:
    """A database behind a PgBouncer."""

    mode: Pooler
    address: str
    database: Database

    def url(self, role: str) -> str:
        return f"postgresql://{role}@{self.address}/{self.database.name}"


@pytest.fixture(params=["session", "transaction"])
def behind(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database: Database, short_folder: Path
) -> Iterator[Behind]:
    mode = request.param
    with pgbouncer(postgres, short_folder, mode, size=SIZES[mode]) as address:
        yield Behind(mode, address, database)


@pytest.fixture(params=["", "listening"])
async def refinery(request: pytest.FixtureRequest, behind: Behind, tmp_path: Path) -> AsyncIterator[Refinery]:
    """Ledger and resolver as processes of their own, and a client of both."""
    listens = {"REFINERY_NOTIFICATIONS_URL": behind.database.app_url} if request.param else {}
    services = [
        ServiceProcess(
            f"{name}_service",
            behind.url(role),
            tmp_path / name,
            REFINERY_POOLER=behind.mode,
            **more,
        )
        for name, role, more in (("ledger", "refinery_app", listens), ("resolver", "refinery_reader", {}))
    ]
    try:
        for service in services:
            service.start()
        for service in services:
            await service.ready()
        ledger, resolver = (service.address for service in services)
        async with Refinery.connect(ledger=ledger, resolver=resolver, timeout_seconds=PATIENCE) as refinery:
            yield refinery
    finally:
        for service in services:
            service.kill()
    assert [service.log for service in services] == ["", ""]


def record(id_: str, **documents: object) -> Draft:
    return Draft(type=VibeType.RECORD, id=id_, **documents)  # type: ignore[arg-type]


async def test_many_clients_refine_read_watch_and_resolve_and_all_of_it_verifies(
    refinery: Refinery, behind: Behind
) -> None:
    await refinery.refine(author_ref=AUTHOR, drafts=[record("schemas/n", schema=SCHEMA)])

    async def client(number: int) -> None:
        for turn in range(REFINES):
            draft = record(f"n/{number}", schema={"$ref": "aug:/schemas/n"}, solution={"n": turn})
            refined = await refinery.refine(author_ref=AUTHOR, drafts=[draft])
            ref = refined.vibes[0].ref
            assert ref == f"main@n/{number}?{turn + 1}"
            assert (await refinery.get_vibe(f"aug:/n/{number}")).solution == {"n": turn}
            assert await refinery.resolve_schema(ref) is not None

    async with aclosing(refinery.watch(after_position=SEEDED)) as changes:
        clients = asyncio.gather(*(client(number) for number in range(CLIENTS)))
        seen = [await anext(changes) for _ in range(1 + CLIENTS * REFINES)]
        await clients
    assert [change.position for change in seen] == [*range(FIRST, FIRST + 1 + CLIENTS * REFINES)]
    report = await verify(behind.url("refinery_reader"), stretch=40, parallel=2)
    assert (report.findings, report.position) == ([], FIRST + CLIENTS * REFINES)


async def test_a_statement_that_takes_too_long_is_ended_and_told_as_such(behind: Behind) -> None:
    async with await open_pool(
        behind.url("refinery_app"), application_name="t", pooler=behind.mode, statement_timeout=0.1
    ) as pool:
        for using, refusal in ((reading, QuestionTooLarge), (writing, Overloaded)):
            with pytest.raises(refusal):
                async with using(pool) as connection:
                    await connection.fetchval("select pg_sleep(60)")
            async with using(pool) as connection:
                assert await connection.fetchval("select $1::integer", 1) == 1


async def test_the_settings_are_those_of_a_session_without_a_pooler_and_nobody_else_gets_them(
    behind: Behind,
) -> None:
    names = "select name, setting from pg_settings where name in ('search_path', 'jit', 'statement_timeout')"
    found = []
    poolers: tuple[tuple[str, Pooler], ...] = (
        (behind.database.app_url, "none"),
        (behind.url("refinery_app"), behind.mode),
    )
    for url, mode in poolers:
        async with (
            await open_pool(url, application_name="t", pooler=mode) as pool,
            reading(pool) as connection,
        ):
            found.append({*await connection.fetch(names)})
    assert found[0] == found[1]
    other = await asyncpg.connect(behind.url("refinery_app"), statement_cache_size=0)
    assert await other.fetchval("show statement_timeout") == "0"
    await other.close()


async def test_who_forgets_to_say_that_there_is_a_pooler_is_told(behind: Behind) -> None:
    with pytest.raises(CannotStart, match=r"unsupported startup parameter.* set REFINERY_POOLER\."):
        await open_pool(
            behind.url("refinery_app"), application_name="t"
        )  # At once: it does not pass by itself.


@pytest.mark.parametrize("behind", ["transaction"], indirect=True)
async def test_who_stops_in_the_middle_of_a_write_does_not_keep_the_lock(behind: Behind) -> None:
    url = behind.url("refinery_app")
    async with (
        await open_pool(url, application_name="t", pooler="transaction", statement_timeout=0.2) as pool,
        await open_pool(url, application_name="t", pooler="transaction") as other,
        AsyncExitStack() as stack,
    ):
        stalled = await stack.enter_async_context(pool.connection(1.0))
        await stalled.execute("select pg_advisory_xact_lock(5927000001)")
        async with writing(other) as connection:
            await connection.execute("select pg_advisory_xact_lock(5927000001)")
