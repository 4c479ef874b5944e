"""A process that verifies stretches for another: a line of JSON in, a line of JSON out, until its input ends.

The first line names the database and the snapshot that all look at; it stands in no list of processes.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg
import orjson

from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.postgres.verify_authority import Roles
from refinery_core.postgres.verify_rows import Finding, Report
from refinery_core.postgres.verify_stretch import Stretch, verify_stretch

_LONGEST_LINE = 64 << 20
"""Many times what the findings take that a report keeps."""

_SETTINGS = """
    set local search_path = pg_catalog;
    set local jit = off;
    -- Sorts and hashes of whole tables go to disk, whatever the server allows its sessions.
    set local work_mem = '16MB';
    -- A snapshot is held for as long as it takes.
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
"""


@asynccontextmanager
async def snapshot(url: str, name: str | None = None) -> AsyncIterator[asyncpg.Connection]:
    """
    Connect to read rows from one snapshot, with bounded memory and unbounded patience, also through a pooler.

    Args:
        url: Of the database.
        name: Of a snapshot that another connection holds; without it, of now.
    """
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"set transaction snapshot '{name}';{_SETTINGS}" if name else _SETTINGS)
            yield connection
    finally:
        await connection.close()


class Child:
    """The other process, seen from this one."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, url: str, name: str) -> Self:
        """Start one; it says in its first answer whether it reached the database."""
        child = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
            )
        )
        child._write([url, name])
        return child

    async def verify(self, stretch: Stretch) -> Report:
        """
        Have a stretch verified.

        Raises:
            OSError: The other process could not read the database, or has ended.
        """
        self._write([stretch.after, stretch.until])
        assert self._process.stdout is not None
        answer = await self._process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise OSError(f"a process that verified has ended with {await self._process.wait()}")
        told = orjson.loads(answer)
        if isinstance(told, str):
            raise OSError(told)
        return _read(told)

    async def stop(self) -> None:
        """End it, whatever it does."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _write(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(message) + b"\n")


def _read(told: dict[str, Any]) -> Report:
    findings = [Finding(**finding) for finding in told["findings"]]
    chain, found = bytes.fromhex(told["chain"]), Counter(told["found"])
    return Report(**told | {"chain": chain, "findings": findings, "found": found})


async def _serve() -> None:
    url, name = orjson.loads(sys.stdin.buffer.readline())
    async with snapshot(url, name) as connection:
        roles = await Roles.read(connection)
        while line := sys.stdin.buffer.readline():
            _tell(await verify_stretch(connection, roles, Stretch(*orjson.loads(line))))


def _tell(answer: Report | str) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer, default=bytes.hex) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        asyncio.run(_serve())
    except STORE_FAILURES as fault:
        _tell(str(fault))
