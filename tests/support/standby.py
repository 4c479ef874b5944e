"""A primary and a standby that follows it, to be promoted; both are copies of a server that was stopped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from refinery_local.postgres import EmbeddedPostgres
from tests.support.waiting import until

NAME = "ledger"
"""Of the database in them."""


@dataclass(frozen=True)
class Pair:
    """Two servers; the second one follows the first until it is promoted."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres

    async def promote(self) -> None:
        """Promote the second one. The first one does not notice, and still takes writes."""
        await self.caught_up()
        assert await asked(self.standby, "select pg_promote()")

    async def caught_up(self) -> None:
        """Wait until the standby shows all that its primary has written."""
        lsn = await asked(self.primary, "select pg_current_wal_flush_lsn()::text")
        await until(lambda: asked(self.standby, f"select pg_last_wal_replay_lsn() >= '{lsn}'"))


@contextmanager
def pair_of(stopped: EmbeddedPostgres, folder: Path) -> Iterator[Pair]:
    """Start two copies of a server that does not run, which has the database."""
    primary, standby = (
        EmbeddedPostgres(_copied(stopped.data, folder / name), bin_dir=stopped.bin_dir, durable=False)
        for name in ("primary", "standby")
    )
    with primary:
        (standby.data / "standby.signal").touch()
        with (standby.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{primary.url('postgres')}'\n")
        with standby:
            yield Pair(primary, standby)


def _copied(data: Path, copy: Path) -> Path:
    subprocess.run(["cp", "-a", str(data.resolve()), str(copy)], check=True)
    return copy


async def asked(server: EmbeddedPostgres, sql: str) -> object:
    """Ask a server as its superuser, outside of any ledger."""
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()
