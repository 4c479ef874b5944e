from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from refinery_core.errors import DatabaseUnavailable
from refinery_core.postgres.apply import fetching
from refinery_core.postgres.in_force import standing
from refinery_core.postgres.migrate import create_database, migrate, told
from refinery_core.postgres.release import Release
from refinery_core.postgres.translate import translated
from refinery_core.settings import CannotStart
from refinery_local.postgres import EmbeddedPostgres
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
        return await connection.fetchval(sql) if sql.startswith("select") else await connection.execute(sql)
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
        answers = await asyncio.gather(*(migrate(url, release=Release(folder=scripts)) for url in urls))
        assert all(len(applied) == 4 for applied in answers)


async def test_no_scripts_at_all_is_fine(empty_database: str, tmp_path: Path) -> None:
    assert await migrate(empty_database, release=Release(folder=tmp_path)) == []


async def test_state_comes_first_then_code_then_seeds(empty_database: str, scripts: Path) -> None:
    assert await migrate(empty_database, release=Release(folder=scripts)) == [
        "migrations/0001_colours.sql",
        "functions/favourite.sql",
        "privileges.sql",
        "seeds/0001_blue.sql",
    ]
    assert await ask(empty_database, "select name from refinery.colours") == "blue"


async def test_changed_code_is_applied_again_and_seeds_are_not(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    write(scripts, "functions/favourite.sql", favourite("green"))
    applied = await migrate(empty_database, release=Release(folder=scripts))
    assert applied == ["functions/favourite.sql", "privileges.sql"]
    assert await ask(empty_database, "select refinery.favourite()") == "green"
    assert await ask(empty_database, "select count(*) from refinery.colours") == 1


async def test_functions_may_use_each_other_in_any_order(empty_database: str, scripts: Path) -> None:
    sql = "create or replace function refinery.{}() returns int language sql return {};"
    write(scripts, "functions/a.sql", sql.format("a", "refinery.b()"))
    write(scripts, "functions/b.sql", sql.format("b", "refinery.c()"))
    write(scripts, "functions/c.sql", sql.format("c", "7"))
    await migrate(empty_database, release=Release(folder=scripts))
    assert await ask(empty_database, "select refinery.a()") == 7


async def test_a_function_that_uses_what_is_nowhere_is_refused(empty_database: str, scripts: Path) -> None:
    sql = "create or replace function refinery.a() returns int language sql return refinery.b();"
    write(scripts, "functions/a.sql", sql)
    with pytest.raises(asyncpg.UndefinedFunctionError) as caught:
        await migrate(empty_database, release=Release(folder=scripts))
    line = "The database cannot be migrated: function refinery.b() does not exist (functions/a.sql)."
    assert told(caught.value) == line


async def test_a_new_migration_applies_the_code_again(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    write(scripts, "migrations/0002_shapes.sql", "create table refinery.shapes (name text primary key);")
    assert "privileges.sql" in await migrate(empty_database, release=Release(folder=scripts))


async def test_an_edited_migration_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colors (name text primary key);")
    with pytest.raises(CannotStart, match=r"0001_colours\.sql was edited after it was applied"):
        await migrate(empty_database, release=Release(folder=scripts))


async def test_a_database_that_is_newer_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    (scripts / "seeds/0001_blue.sql").unlink()
    with pytest.raises(CannotStart, match="newer than this version"):
        await migrate(empty_database, release=Release(folder=scripts))


async def test_a_migration_that_comes_too_late_is_refused(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    write(scripts, "migrations/0000_late.sql", "select 1;")
    with pytest.raises(CannotStart, match="comes too late"):
        await migrate(empty_database, release=Release(folder=scripts))


async def test_a_failing_migration_leaves_nothing_and_can_be_mended(
    empty_database: str, scripts: Path
) -> None:
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colours (name text); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError) as caught:
        await migrate(empty_database, release=Release(folder=scripts))
    assert told(caught.value).endswith(": division by zero (migrations/0001_colours.sql).")
    write(scripts, "migrations/0001_colours.sql", "create table refinery.colours (name text);")
    assert "migrations/0001_colours.sql" in await migrate(empty_database, release=Release(folder=scripts))


async def test_a_wait_for_somebody_else_ends(empty_database: str, scripts: Path) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(f"select pg_advisory_lock({0x5245_4649_4E45_5259})")
    with pytest.raises(CannotStart, match="Somebody else"):
        await migrate(empty_database, release=Release(folder=scripts), patience=0.2)
    await connection.close()
    assert await migrate(empty_database, release=Release(folder=scripts))


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
        assert len(await migrate(server.url("ledger", "migrator"), release=Release(folder=scripts))) == 4


OLDER, NEWER = "0.2.0", "0.10.0"


async def objects(url: str) -> list[str]:
    """The objects in the schema."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "pg_catalog"})
    try:
        return sorted(await standing(fetching(connection)))
    finally:
        await connection.close()


async def test_what_no_file_defines_any_more_is_dropped(empty_database: str, scripts: Path) -> None:
    write(scripts, "migrations/0000_rule.sql", "create function refinery.rule() returns int return 1;")
    await migrate(empty_database, release=Release(folder=scripts))
    files_alone = await objects(empty_database)
    assert "function refinery.rule()" in files_alone
    left = {
        "functions/a.sql": "create or replace function refinery.a(n int) returns int return n;",
        "functions/favourite.sql": favourite("blue").replace("favourite()", "favourite(n int)"),
        "functions/z.sql": "create or replace procedure refinery.z() language sql as 'select 1';",
        "triggers/t.sql": "create or replace function refinery.t() returns trigger language plpgsql as "
        "'begin return null; end'; create or replace trigger t after insert on refinery.colours "
        "for each statement execute function refinery.t();",
        "views/v.sql": "create or replace view refinery.v as select refinery.a(1);",
        "views/w.sql": "create or replace view refinery.w as select * from refinery.v;",
    }
    kept = (scripts / "functions/favourite.sql").read_text()
    for name, sql in left.items():
        write(scripts, name, sql)
    await migrate(empty_database, release=Release(folder=scripts, number=NEWER))
    for name in left:
        (scripts / name).unlink()
    write(scripts, "functions/favourite.sql", kept)
    applied = await migrate(empty_database, release=Release(folder=scripts, number=NEWER))
    assert applied == [
        "functions/favourite.sql",
        "privileges.sql",
        "dropped function refinery.a(integer)",
        "dropped function refinery.favourite(integer)",
        "dropped function refinery.t()",
        "dropped procedure refinery.z()",
        "dropped trigger t on refinery.colours",
        "dropped view refinery.v",
        "dropped view refinery.w",
    ]
    assert await objects(empty_database) == files_alone


async def test_what_somebody_made_in_the_schema_is_dropped_and_what_is_elsewhere_stays(
    empty_database: str, scripts: Path
) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    await ask(empty_database, "create view public.own as select name from refinery.colours")
    await ask(empty_database, "create view refinery.own as select name from refinery.colours")
    applied = await migrate(empty_database, release=Release(folder=scripts))
    assert applied[-1] == "dropped view refinery.own"
    assert await ask(empty_database, "select name from public.own") == "blue"
    assert await migrate(empty_database, release=Release(folder=scripts)) == []


async def test_what_is_needed_elsewhere_is_not_dropped_and_nothing_else_changes(
    empty_database: str, scripts: Path
) -> None:
    write(scripts, "functions/a.sql", "create or replace function refinery.a() returns int return 1;")
    await migrate(empty_database, release=Release(folder=scripts))
    await ask(empty_database, "create view public.own as select refinery.a()")
    (scripts / "functions/a.sql").unlink()
    write(scripts, "functions/favourite.sql", favourite("green"))
    needed = r"needed elsewhere: view public\.own depends on function refinery\.a\(\)\. Drop what needs it"
    with pytest.raises(CannotStart, match=needed):
        await migrate(empty_database, release=Release(folder=scripts))
    assert await ask(empty_database, "select refinery.favourite()") == "blue"
    await ask(empty_database, "drop view public.own")
    applied = await migrate(empty_database, release=Release(folder=scripts))
    assert applied[-1] == "dropped function refinery.a()"


async def test_code_that_was_changed_by_hand_is_put_back(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts))
    await ask(empty_database, favourite("red"))
    assert "functions/favourite.sql" in await migrate(empty_database, release=Release(folder=scripts))
    assert await ask(empty_database, "select refinery.favourite()") == "blue"
    await ask(empty_database, "delete from refinery.schema_code")
    assert "functions/favourite.sql" in await migrate(empty_database, release=Release(folder=scripts))
    assert await migrate(empty_database, release=Release(folder=scripts)) == []


async def test_older_code_replaces_newer_code_only_when_it_is_told_to(
    empty_database: str, scripts: Path
) -> None:
    await migrate(empty_database, release=Release(folder=scripts, number=NEWER))
    write(scripts, "functions/favourite.sql", favourite("green"))
    older = Release(folder=scripts, number=OLDER)
    refused = r"in force is of 0\.10\.0, newer than this version, 0\.2\.0: .* say --downgrade to put the code"
    with pytest.raises(CannotStart, match=refused):
        await migrate(empty_database, release=older)
    assert await ask(empty_database, "select refinery.favourite()") == "blue"
    assert "functions/favourite.sql" in await migrate(empty_database, release=older, downgrade=True)
    assert await ask(empty_database, "select refinery.favourite()") == "green"
    assert await migrate(empty_database, release=older) == []


async def test_older_code_that_is_the_same_has_nothing_to_do(empty_database: str, scripts: Path) -> None:
    await migrate(empty_database, release=Release(folder=scripts, number=NEWER))
    assert await migrate(empty_database, release=Release(folder=scripts, number=OLDER)) == []


async def test_newer_tables_are_not_taken_back_by_a_downgrade(empty_database: str, scripts: Path) -> None:
    write(scripts, "migrations/0002_shapes.sql", "create table refinery.shapes (name text primary key);")
    await migrate(empty_database, release=Release(folder=scripts, number=NEWER))
    (scripts / "migrations/0002_shapes.sql").unlink()
    with pytest.raises(CannotStart, match=r"know migrations/0002_shapes\.sql: migrate with the newer"):
        await migrate(empty_database, release=Release(folder=scripts, number=OLDER), downgrade=True)


@pytest.mark.parametrize("name", ["0001_ledger.sql", "0006_what_is_now_in_another.sql"])
async def test_a_ledger_of_before_the_first_release_is_told_so(empty_database: str, name: str) -> None:
    await ask(
        empty_database,
        "create schema refinery; create table refinery.schema_migrations (name text, sha256 text); "
        f"insert into refinery.schema_migrations values ('migrations/{name}', 'other')",
    )
    before = "was made by a version before the first release, v0.2.0, whose formats differ: .* a new database"
    with pytest.raises(CannotStart, match=before):
        await migrate(empty_database)


@pytest.mark.parametrize(
    "fault", [asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError]
)
def test_prepared_statements_of_others_are_told_as_the_pooler_that_they_come_from(
    fault: type[asyncpg.PostgresError],
) -> None:
    assert "a pooler of transactions stands before it; name PostgreSQL itself" in told(
        fault("prepared statement")
    )
    assert isinstance(translated(fault("prepared statement")), DatabaseUnavailable)
