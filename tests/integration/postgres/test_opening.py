from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from ledger_service.about import about
from refinery_core.postgres.migrate import migrate
from refinery_core.postgres.opening import opened
from refinery_core.postgres.release import THIS, Release
from refinery_core.settings import CannotStart
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.seeded import SEEDED
from tests.conftest import Database, fresh
from tests.support.waiting import PATIENCE


async def test_a_role_that_may_not_add_to_the_ledger_is_no_role_for_the_ledger(database: Database) -> None:
    for url, writes in ((database.app_url, True), (database.reader_url, False)):
        async with opened(url, application_name="t", max_size=2, writes=writes) as (_, readiness):
            assert await readiness()
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
            assert logged[0]["event"] == "The database was not migrated: run 'refinery migrate'."
            await migrate(postgres.url(name))
            _, readiness = await waiting
            assert await readiness()
            await opening.__aexit__(None, None, None)
        assert len(logged) == 1


async def test_who_waited_long_enough_for_a_migration_does_not_start(
    postgres: EmbeddedPostgres, template: str
) -> None:
    async with fresh(postgres, "template0") as name:
        url = postgres.url(name, "refinery_reader")
        with pytest.raises(
            CannotStart, match=r"was not migrated: run 'refinery migrate'\. Nobody did within 0 s"
        ):
            async with opened(url, application_name="t", max_size=1, writes=False, patience=0):
                pass


OWN = "0.9.0"
OLDER, NEWER = "0.8.1", "0.10.0"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The SQL of another version: ours, and a function more."""
    folder = tmp_path / "sql"
    shutil.copytree(str(THIS.folder), folder)
    sql = "create or replace function refinery.harmless() returns int language sql as 'select 1';"
    (folder / "functions/harmless.sql").write_text(sql)
    return folder


async def starts(database: Database, release: Release) -> list[str]:
    """Start a service of a release, and return its log."""
    with capture_logs() as logged:
        opening = opened(
            database.app_url, application_name="t", max_size=2, writes=True, patience=0, release=release
        )
        async with opening as (_, readiness):
            assert await readiness()
    return [line["event"] for line in logged]


async def do(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_a_service_serves_on_its_own_code_without_a_word(database: Database) -> None:
    assert await starts(database, THIS) == []


async def test_a_service_serves_on_newer_code_that_serves_it_and_says_so_once(
    database: Database, scripts: Path
) -> None:
    await migrate(database.owner_url, release=Release(folder=scripts, number=NEWER, contract=2))
    assert await starts(database, Release(number=OWN)) == [
        "The database was migrated to 0.10.0; it serves this program of 0.9.0 as well."
    ]


async def test_a_service_serves_on_newer_tables_and_says_so(database: Database) -> None:
    add = "insert into refinery.schema_migrations (name, sha256, defines) values ('seeds/9999', '', '{}')"
    await do(database.owner_url, add)
    (line,) = await starts(database, THIS)
    assert line.startswith("The database has seeds/9999, which is of a newer version; it serves this program")


@pytest.mark.parametrize(
    ("number", "contracts", "refusal"),
    [
        (OLDER, (1, 1), r"in force is of 0\.8\.1, this program of 0\.9\.0: run 'refinery migrate'"),
        (OWN, (1, 1), r"is not this program's, though both are 0\.9\.0: run 'refinery migrate'"),
        ("other", (1, 1), r"in force is of other, this program of 0\.9\.0: run 'refinery migrate'"),
        (NEWER, (2, 3), r"is of 0\.10\.0, which does not serve programs of 0\.9\.0 any more: start a newer"),
    ],
)
async def test_a_service_does_not_start_on_other_code(
    database: Database, scripts: Path, number: str, contracts: tuple[int, int], refusal: str
) -> None:
    oldest, contract = contracts
    other = Release(folder=scripts, number=number, oldest_contract=oldest, contract=contract)
    await migrate(database.owner_url, release=other)
    with pytest.raises(CannotStart, match=refusal):
        await starts(database, Release(number=OWN))


LEFT = "is not as 'refinery migrate' left it"
CHANGES = [
    ("delete from refinery.schema_code", "The database does not say which SQL code is in force"),
    ("drop function refinery.forecast", f"The function refinery.forecast(jsonb) {LEFT}"),
    (
        (
            "create or replace function refinery.forecast(request jsonb) "
            "returns table (outcome text, answer jsonb) language sql as $$ select '', '{}'::jsonb $$"
        ),
        f"The function refinery.forecast(jsonb) {LEFT}",
    ),
    (
        "alter function refinery.latest(text, text, bigint) reset all",
        f"The function refinery.latest(text,text,bigint) {LEFT}",
    ),
    (
        "drop trigger refuse_change on refinery.vibes",
        f"The trigger refuse_change on refinery.vibes {LEFT}",
    ),
    (
        "alter table refinery.vibes disable trigger refuse_change",
        f"The trigger refuse_change on refinery.vibes {LEFT}",
    ),
    (
        (
            "create or replace view refinery.basic_vibes as select v.ref, v.id, v.branches, v.revision, "
            "v.type, v.author_ref, v.prototype_ref, v.refinement_id, v.position, now() as time, "
            "v.content_digest, v.digest, v.schema_refs, v.ordinal from refinery.vibes v"
        ),
        f"The view refinery.basic_vibes {LEFT}",
    ),
    (
        "delete from refinery.schema_migrations where name ~ 'genesis'",
        "The database lacks seeds/0001_genesis.sql",
    ),
    ("drop table refinery.schema_code", "The database was not migrated"),
]


@pytest.mark.parametrize(("change", "sentence"), CHANGES)
async def test_a_service_that_runs_notices_what_is_done_to_the_code_and_says_so_once(
    database: Database, change: str, sentence: str
) -> None:
    async with opened(database.app_url, application_name="t", max_size=2, writes=True) as (_, readiness):
        assert await readiness()
        await do(database.owner_url, change)
        with capture_logs() as logged:
            assert [await readiness() for _ in range(3)] == [False] * 3
    (line,) = logged
    assert line["log_level"] == "warning"
    assert line["event"] == f"{sentence}: run 'refinery migrate'."


async def test_a_service_is_ready_again_after_a_migrate(database: Database) -> None:
    async with opened(database.app_url, application_name="t", max_size=2, writes=True) as (_, readiness):
        await do(database.owner_url, "delete from refinery.schema_code; drop function refinery.forecast")
        assert not await readiness()
        await migrate(database.owner_url)
        assert await readiness()


async def test_what_somebody_adds_in_the_schema_disturbs_no_service(database: Database) -> None:
    await do(database.owner_url, "create view refinery.own as select 1 as one")
    assert await starts(database, THIS) == []


async def test_a_ledger_says_what_it_is_also_where_nothing_says_which_code_is_in_force(
    database: Database,
) -> None:
    async with opened(database.app_url, application_name="t", max_size=2, writes=True) as (store, _):
        assert (await about(store)).versions.code.hex() == THIS.sha256
        await do(database.owner_url, "delete from refinery.schema_code")
        said = await about(store)
    assert (said.position, said.versions.code) == (SEEDED, b"")
