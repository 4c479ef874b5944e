"""Verify in several processes: the same findings, from one snapshot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from refinery_core.postgres.verify import verify
from refinery_core.postgres.verify_child import Child
from refinery_core.postgres.verify_stretch import Stretch
from tests.acceptance.verify.conftest import Clone
from tests.cases.edits import EDITS
from tests.support.content import LAST, REVISED

CUT_OFF = """
import asyncio, asyncpg, sys
async def cut_off():
    connection = await asyncpg.connect(sys.argv[1])
    for table in ("vibe_refs", "vibe_branches", "vibes", "refinements"):
        await connection.execute(f"delete from refinery.{table} where position > $1", int(sys.argv[2]))
    await connection.close()
asyncio.run(cut_off())
"""


async def test_processes_side_by_side_find_the_same_in_the_same_order(clone: Clone) -> None:
    for what in ("a solution", "a chain link", "a target", "an edge from nowhere", "a type of one version"):
        await clone.edit(EDITS[what][2])
    alone = await verify(clone.reader_url, stretch=2, parallel=1)
    assert {finding.kind for finding in alone.findings} >= {"content", "chain", "digest", "edge", "type"}
    told: list[tuple[int, int]] = []
    progress = lambda done, all_: told.append((done, all_))  # noqa: E731
    assert await verify(clone.reader_url, stretch=2, parallel=3, progress=progress) == alone
    assert told == [(min(done, LAST), LAST) for done in range(2, LAST + 3, 2)]


async def test_processes_side_by_side_see_one_snapshot(clone: Clone) -> None:
    before = await clone.end()
    edited = False

    def edit(_done: int, _all: int) -> None:
        nonlocal edited
        if not edited:
            edited = True
            command = [sys.executable, "-c", CUT_OFF, clone.superuser_url, str(REVISED)]
            subprocess.run(command, check=True, timeout=60)

    report = await verify(clone.reader_url, stretch=1, parallel=2, progress=edit)
    assert report.findings == []
    assert (report.position, report.chain) == before
    assert (await clone.end())[0] == REVISED


async def test_a_process_that_cannot_read_the_database_says_why(clone: Clone) -> None:
    child = await Child.start(clone.reader_url, "00000000-00000000-1")
    with pytest.raises(OSError, match="00000000-00000000-1"):
        await child.verify(Stretch(0, 1))
    with pytest.raises(OSError, match="has ended"):
        await child.verify(Stretch(0, 1))
    await child.stop()
