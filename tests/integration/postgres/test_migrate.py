from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.postgres.migrate import create_database, migrate
from refinery_core.settings import CannotStart
from tests.conftest import Database


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    write(tmp_path, "migrations/0001_colours.sql", "create table refinery.colours (name text primary key);")
    write(tmp_path, "functions/favourite.sql", favourite("blue"))
    write(tmp_path, "privileges.sql", "grant usage on schema refinery to refinery_app, refinery_reader;")
    write(tmp_path, "seeds/0001_blue.sql", "insert into refinery.colours values (refinery.favourite());")
    return tmp_path


def write(folder: Path, name: str, sql: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(sql)


def favourite(colour: str) -> str:
    return f"create or replace function refinery.favourite() returns text language sql return '{colour}';"


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_the_ledger_migrates_and_migrating_again_does_nothing(empty_database: str) -> None:
    assert await migrate(empty_database)
    assert await migrate(empty_database) == []


async def test_two_that_start_at_once_apply_everything_once(empty_database: str) -> None:
    answers = await asyncio.gather(*(migrate(empty_database) for _ in range(3)))
    assert sorted(map(bool, answers)) == [False, False, True]


async def test_databases_of_one_cluster_can_be_migrated_at_once(
    short_folder: Path, postgres_bin: Path | None, scripts: Path
) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin, durable=False) as server:
        urls = [server.url(f"db_{number}") for number in range(3)]
        for url in urls:
            await create_database(url)
        answers = await asyncio.gather(*(migrate(url, scripts=scripts) for url in urls))
        assert all(len(applied) == 4 for applied in answers)


async def test_no_scripts_at_all_is_fine(empty_database: str, tmp_path: Path) -> None:
    assert await migrate(empty_database, scripts=tmp_path) == []


async def test_state_comes_first_then_code_then_seeds(empty_database: str, scripts: Path) -> None:
    assert await migrate(empty_database, scripts=scripts) == [
        "migrations/0001_colours.sql",
        "functions/favourite.sql",
        "privileges.sql",
        "seeds/0001_blue.sql",
    ]
    assert await ask(empty_database, "select name from refinery.colours") == "blue"


async def test_changed_code_is_applied_again_and_seeds_are_not(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, scripts=scripts)
    write(scripts, "functions/favourite.sql", favourite("green"))
    assert await migrate(empty_database, scripts=scripts) == ["functions/favourite.sql", "privileges.sql"]
    assert await ask(empty_database, "select refinery.favourite()") == "green"
    assert await ask(empty_database, "select count(*) from refinery.colours") == 1


async def test_functions_may_use_each_other_in_any_order(empty_database: str, scripts: Path) -> None:
    sql = "create or replace function refinery.{}() returns int language sql return {};"
    write(scripts, "functions/a.sql", sql.format("a", "refinery.b()"))
    write(scripts, "functions/b.sql", sql.format("b", "refinery.c()"))
    write(scripts, "functions/c.sql", sql.format("c", "7"))
    await migrate(empty_database, scripts=scripts)
    assert await ask(empty_database, "select refinery.a()") == 7


async def test_a_function_that_uses_what_is_nowhere_is_refused(empty_database: str, scripts: Path) -> None:
    sql = "create or replace function refinery.a() returns int language sql return refinery.b();"
    write(scripts, "functions/a.sql", sql)
    with pytest.raises(asyncpg.UndefinedFunctionError, match=r"refinery\.b\(\) does not exist"):
        await migrate(empty_database, scripts=scripts)


async def test_a_new_migration_applies_the_code_again(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, scripts=scripts)
    write(scripts, "migrations/0002_shapes.sql", "create table refinery.shapes (name text primary key);")
    assert "privileges.sql" in await migrate(empty_database, scripts=scripts)


async def test_an_edited_migration_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, scripts=scripts)
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colors (name text primary key);")
    with pytest.raises(CannotStart, match=r"0001_colours\.sql was edited after it was applied"):
        await migrate(empty_database, scripts=scripts)


async def test_a_database_that_is_newer_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, scripts=scripts)
    (scripts / "seeds/0001_blue.sql").unlink()
    with pytest.raises(CannotStart, match="newer than this version"):
        await migrate(empty_database, scripts=scripts)


async def test_a_migration_that_comes_too_late_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, scripts=scripts)
    write(scripts, "migrations/0000_late.sql", "select 1;")
    with pytest.raises(CannotStart, match="comes too late"):
        await migrate(empty_database, scripts=scripts)


async def test_a_failing_migration_leaves_nothing_and_can_be_mended(
    empty_database: str, scripts: Path
) -> None:
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colours (name text); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database, scripts=scripts)
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colours (name text);")
    assert "migrations/0001_colours.sql" in await migrate(empty_database, scripts=scripts)


async def test_a_wait_for_somebody_else_ends(empty_database: str, scripts: Path) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(f"select pg_advisory_lock({0x5245_4649_4E45_5259})")
    with pytest.raises(CannotStart, match="Somebody else"):
        await migrate(empty_database, scripts=scripts, patience=0.2)
    await connection.close()
    assert await migrate(empty_database, scripts=scripts)


async def test_everything_belongs_to_an_owner_who_cannot_log_in(database: Database) -> None:
    owners = (
        "select array_agg(distinct relowner::regrole::text) from pg_class "
        "where relnamespace = 'refinery'::regnamespace"
    )
    assert await ask(database.owner_url, owners) == ["refinery_owner"]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await ask(database.owner_url.replace("//postgres@", "//refinery_owner@"), "select 1")


async def test_a_migrator_needs_no_superuser(
    short_folder: Path, postgres_bin: Path | None, scripts: Path
) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin, durable=False) as server:
        await create_database(server.url("ledger"))
        await ask(server.url("postgres"), "create role migrator login createrole")
        await ask(server.url("postgres"), "grant create on database ledger to migrator")
        assert len(await migrate(server.url("ledger", "migrator"), scripts=scripts)) == 4
