from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from refinery_core.errors import (
    BranchNotFound,
    Contention,
    DatabaseUnavailable,
    OutcomeUnknown,
    Overloaded,
    QuestionTooLarge,
    RefineryError,
)
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool, reading, writing
from refinery_core.postgres.translate import store_errors
from refinery_core.settings import CannotStart
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.seeded import SEEDED
from tests.conftest import Database
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE, until


async def end(owner_url: str, pid: int) -> None:
    """Have a session ended by another one, and check that it is gone."""
    connection = await asyncpg.connect(owner_url)
    try:
        assert await connection.fetchval("select pg_terminate_backend($1, 5000)", pid)
    finally:
        await connection.close()


async def test_jsonb_is_text_and_the_session_is_named(database: Database) -> None:
    async with (
        await open_pool(database.app_url, application_name="ledger") as pool,
        reading(pool) as connection,
    ):
        assert await connection.fetchval("select '{\"b\": 1}'::jsonb") == '{"b": 1}'
        assert await connection.fetchval("show application_name") == "ledger"
        assert await connection.fetchval("show search_path") == "pg_catalog"


async def test_a_backend_that_is_killed_is_unavailable_and_the_next_question_is_answered(
    database: Database,
) -> None:
    async with await open_pool(database.app_url, application_name="t", min_size=1, max_size=1) as pool:
        with pytest.raises(DatabaseUnavailable):
            async with reading(pool) as connection:
                await end(database.owner_url, connection.get_server_pid())
                await connection.fetchval("select 1")
        async with reading(pool) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_a_connection_that_is_lost_during_a_write_leaves_the_outcome_unknown(
    database: Database,
) -> None:
    async with await open_pool(database.app_url, application_name="t") as pool:
        with pytest.raises(OutcomeUnknown):
            async with writing(pool) as connection:
                await end(database.owner_url, connection.get_server_pid())
                await connection.fetchval("select 1")


async def test_a_statement_that_commits_by_itself_can_be_marked_as_such(database: Database) -> None:
    connection = await asyncpg.connect(database.app_url)
    with pytest.raises(OutcomeUnknown), store_errors(during_commit=True):
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(10)"))
        await until_it_sleeps(database.owner_url, connection.get_server_pid())
        await end(database.owner_url, connection.get_server_pid())
        await sleeping


async def until_it_sleeps(owner_url: str, pid: int) -> None:
    superuser = await asyncpg.connect(owner_url)
    sleeping = "select wait_event = 'PgSleep' from pg_stat_activity where pid = $1"
    try:
        await until(lambda: superuser.fetchval(sleeping, pid))
    finally:
        await superuser.close()


async def test_our_own_refusals_arrive_with_their_data(database: Database) -> None:
    async with await open_pool(database.owner_url, application_name="t") as pool:
        with pytest.raises(BranchNotFound) as refused:
            async with writing(pool) as connection:
                await connection.execute(
                    "do $$ begin raise sqlstate 'RF000' using message = 'x', detail = "
                    """'{"reason": "BRANCH_NOT_FOUND", "metadata": {"branch": "dev"}}'; end $$"""
                )
        assert refused.value.metadata == {"branch": "dev"}
        assert isinstance(refused.value.__cause__, asyncpg.PostgresError)


@pytest.mark.parametrize(
    ("sqlstate", "reason"),
    [
        ("25006", "READ_ONLY"),
        ("40001", "CONTENTION"),
        ("40P01", "CONTENTION"),
        ("55P03", "CONTENTION"),
        ("53100", "STORAGE_FULL"),
        ("53300", "OVERLOADED"),
        ("57014", "QUESTION_TOO_LARGE"),
        ("42883", "DATABASE_UNAVAILABLE"),
        ("57P03", "DATABASE_UNAVAILABLE"),
        ("25P03", "DATABASE_UNAVAILABLE"),
        ("08006", "DATABASE_UNAVAILABLE"),
        ("XX001", "DATA_CORRUPTED"),
    ],
)
async def test_each_state_of_the_server_is_one_refusal(
    database: Database, sqlstate: str, reason: str
) -> None:
    connection = await asyncpg.connect(database.app_url)
    with pytest.raises(RefineryError) as refused, store_errors():
        await connection.execute(f"do $$ begin raise sqlstate '{sqlstate}'; end $$")
    assert refused.value.reason == reason
    await connection.close()


async def test_a_mistake_of_ours_is_not_dressed_up(database: Database) -> None:
    async with await open_pool(database.app_url, application_name="t") as pool:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with reading(pool) as connection:
                await connection.fetchval("select * from refinery.no_such_table")
        with pytest.raises(asyncpg.DataError):
            async with reading(pool) as connection:
                await connection.fetchval("select $1::int", "seven")


async def test_a_lock_that_is_held_too_long_is_contention(database: Database) -> None:
    holder = await asyncpg.connect(database.app_url)
    await holder.execute("begin; select pg_advisory_xact_lock(1)")
    async with await open_pool(database.app_url, application_name="t") as pool:
        with pytest.raises(Contention):
            async with writing(pool) as other:
                await other.execute("set local lock_timeout = '50ms'; select pg_advisory_xact_lock(1)")
    await holder.close()


async def test_reads_leave_a_connection_to_writes_however_many_wait(database: Database) -> None:
    holder = await asyncpg.connect(database.owner_url)
    waiting = (
        "select count(*) = 2 from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock' and application_name = 't'"
    )
    async with await open_pool(database.app_url, application_name="t", min_size=3, max_size=3) as pool:
        held = holder.transaction()
        await held.start()
        await holder.execute("lock table refinery.refinements in access exclusive mode")
        store = Store(pool)
        reads = [asyncio.create_task(store.last_position()) for _ in range(6)]
        await until(lambda: holder.fetchval(waiting))
        await store.write("notify", "1")
        assert not any(read.done() for read in reads)
        await held.rollback()
        assert {await read for read in reads} == {SEEDED}
    await holder.close()


async def test_a_pool_with_everything_in_use_is_overloaded(database: Database) -> None:
    async with (
        await open_pool(database.app_url, application_name="t", min_size=1, max_size=1) as pool,
        reading(pool),
    ):
        with pytest.raises(Overloaded):
            async with reading(pool, patience=0.1):
                pass


async def test_a_statement_that_takes_too_long_is_ended_and_told_as_such(database: Database) -> None:
    async with await open_pool(
        database.app_url, application_name="t", min_size=1, max_size=1, statement_timeout=0.1
    ) as pool:
        pids = []
        for using, refusal in (
            (reading, QuestionTooLarge),
            (writing, Overloaded),
            (reading, QuestionTooLarge),
        ):
            with pytest.raises(refusal):
                async with using(pool) as connection:
                    pids.append(connection.get_server_pid())
                    await connection.fetchval("select pg_sleep(60)")
        assert len(set(pids)) == 1, "the connection is as good as before"


async def test_a_write_that_takes_too_long_has_written_nothing(database: Database) -> None:
    async with await open_pool(
        database.owner_url, application_name="t", min_size=1, max_size=1, statement_timeout=0.1
    ) as pool:
        with pytest.raises(Overloaded):
            async with writing(pool) as connection:
                await connection.execute("create table public.t (n int); select pg_sleep(60)")
        async with reading(pool) as connection:
            assert await connection.fetchval("select to_regclass('public.t')") is None


async def test_a_database_that_falls_silent_is_away_and_all_connections_to_it_are_given_up(
    database: Database,
) -> None:
    proxy = Proxy(database.app_url)
    async with (
        proxy.listening(),
        await open_pool(
            proxy.url,
            application_name="t",
            min_size=1,
            max_size=1,
            statement_timeout=0.2,
            command_timeout=0.5,
        ) as pool,
    ):
        async with reading(pool) as connection:
            before = connection.get_server_pid()
        for using, refusal in ((reading, DatabaseUnavailable), (writing, OutcomeUnknown)):
            proxy.silence(new_ones_too=False)
            with pytest.raises(refusal):
                async with using(pool) as connection:
                    await connection.fetchval("select 1")
            async with reading(pool) as connection:
                assert connection.get_server_pid() != before


async def test_a_caller_who_gives_up_leaves_nothing_running(database: Database) -> None:
    async with await open_pool(database.owner_url, application_name="t", min_size=1, max_size=1) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), writing(pool) as connection:
                await connection.execute("select pg_sleep(10); create table public.t (n int)")
        async with reading(pool) as connection:
            assert await connection.fetchval("select to_regclass('public.t')") is None


async def test_a_pool_survives_the_restart_of_the_server(
    short_folder: Path, postgres_bin: Path | None
) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        async with await open_pool(server.url("postgres"), application_name="t") as pool:
            server.kill()
            refusals = 0
            async with asyncio.timeout(PATIENCE):
                while refusals < 3:  # Each session notices by itself that the server is gone.
                    refusals = 0 if await answers(pool) else refusals + 1
            server.start()
            assert await answers(pool)


async def answers(pool: asyncpg.Pool) -> bool:
    """Whether the database answers; it may say nothing else than that it is unavailable."""
    try:
        async with reading(pool) as connection:
            return bool(await connection.fetchval("select true"))
    except DatabaseUnavailable:
        return False


async def test_opening_waits_for_a_database_that_is_on_its_way(
    short_folder: Path, postgres_bin: Path | None
) -> None:
    server = EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin)
    opening = asyncio.create_task(open_pool(server.url("postgres"), application_name="t"))
    await asyncio.sleep(0.1)
    assert not opening.done()
    with server:
        await (await opening).close()


async def test_a_database_that_never_comes_is_one_sentence(short_folder: Path) -> None:
    nowhere = f"postgresql://me@/ledger?host={short_folder}"
    with pytest.raises(CannotStart, match="could not be reached"):
        await open_pool(nowhere, application_name="t", patience=0.2)


async def test_a_database_that_does_not_exist_is_told_at_once(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(CannotStart, match="refuses us"):
        await open_pool(postgres.url("no_such_database"), application_name="t")
