"""A service while somebody migrates, or changes functions by hand."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.migrate import migrate
from refinery_core.postgres.opening import opened
from refinery_core.postgres.readiness import Readiness
from refinery_core.postgres.release import THIS, Release
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database, fresh
from tests.support.processes import FAST_RECONNECT, ServiceProcess
from tests.support.waiting import until


class Between(Store):
    """A database that somebody migrates between two questions, once."""

    migrating: Callable[[], Awaitable[object]] | None = None

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        if query == "code_objects" and self.migrating is not None:
            migrating, self.migrating = self.migrating, None
            await migrating()
        return await super().fetch(query, *arguments)


async def test_a_service_stays_ready_when_somebody_migrates_between_two_of_its_questions(
    database: Database, tmp_path: Path
) -> None:
    more = tmp_path / "sql"
    shutil.copytree(str(THIS.folder), more)
    forecast = (more / "functions/forecast.sql").read_text()
    (more / "functions/forecast.sql").write_text(
        forecast.replace("language sql stable", "language sql volatile")
    )
    newer = Release(number="999.0.0", folder=more)
    async with opened(database.app_url, application_name="t", max_size=2, writes=True) as (store, _):
        between = Between(store.pool)
        readiness = Readiness(between)
        between.migrating = partial(migrate, database.owner_url, release=newer)
        with capture_logs() as logged:
            assert await readiness()
        assert between.migrating is None
    assert [line["event"].partition(";")[0] for line in logged] == ["The database was migrated to 999.0.0"]


async def test_texts_are_not_compared_on_another_postgres_until_somebody_migrates_there(
    database: Database,
) -> None:
    async with opened(database.app_url, application_name="t", max_size=2, writes=True) as (_, readiness):
        connection = await asyncpg.connect(database.owner_url)
        await connection.execute("update refinery.schema_code set postgres = postgres - 1")
        await connection.execute("drop function refinery.forecast")
        assert await readiness()
        assert "functions/forecast.sql" in await migrate(database.owner_url)
        await connection.execute("drop function refinery.forecast")
        await connection.close()
        assert not await readiness()


def dumped_and_restored(postgres: EmbeddedPostgres, of: str, into: str, file: Path) -> None:
    """Dump a database and restore it into another one, as a backup does."""
    for program, *arguments in (
        ("pg_dump", "--format=custom", f"--dbname={postgres.url(of)}", f"--file={file}"),
        ("pg_restore", "--exit-on-error", f"--dbname={postgres.url(into)}", file),
    ):
        subprocess.run([postgres.bin_dir / program, *arguments], check=True, capture_output=True)


async def test_a_database_that_was_restored_is_served_at_once(
    postgres: EmbeddedPostgres, database: Database, tmp_path: Path
) -> None:
    async with fresh(postgres, "template0") as name:
        await asyncio.to_thread(dumped_and_restored, postgres, database.name, name, tmp_path / "dump")
        url = postgres.url(name, "refinery_app")
        async with opened(url, application_name="t", max_size=2, writes=True, patience=0) as (_, readiness):
            assert await readiness()
        assert await migrate(postgres.url(name)) == []


async def test_health_says_so_while_functions_are_not_as_they_were_left(
    database: Database, tmp_path: Path
) -> None:
    ledger = ServiceProcess("ledger_service", database.app_url, tmp_path / "ledger.log")
    sentence = "The function refinery.forecast(jsonb) is not as 'refinery migrate' left it"
    try:
        ledger.start()
        await ledger.ready()
        async with grpc.aio.insecure_channel(ledger.address, options=FAST_RECONNECT) as channel:
            health = health_pb2_grpc.HealthStub(channel)

            async def is_refused() -> bool:
                answer = await health.Check(health_pb2.HealthCheckRequest())
                return bool(answer.status == health_pb2.HealthCheckResponse.NOT_SERVING)

            connection = await asyncpg.connect(database.owner_url)
            await connection.execute("drop function refinery.forecast")
            await connection.close()
            await until(is_refused)
        await migrate(database.owner_url)
        await ledger.ready()
        assert ledger.log.count(sentence) == 1
    finally:
        ledger.kill()
