"""The memory of verify does not grow with the ledger."""

# ruff: noqa: E501 - the rows of the statements

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.acceptance.verify.conftest import Clone
from tests.support.content import LAST

DAMAGED = """
with p as (select n from generate_series($1::int, $2) n),
     r as (insert into refinery.refinements
           select md5('i' || n)::uuid, n + $4, md5('r' || n)::uuid, sha256('r'), 'test', '2030-01-01', $3, '{}', '{}', '{}', sha256('c') from p)
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal, content_digest, digest)
select 'main@n/' || n || '?1', 'n/' || n, '{main}', 1, 'RECORD', $3, md5('i' || n)::uuid, n + $4, 0, sha256('c'), sha256('d' || n::text::bytea)
from p
"""
LARGE = "update refinery.vibes set solution = to_jsonb(repeat('x', 1000000)) where position between $2 + 1 and $2 + $1"
PEAK = """
import asyncio, re, resource, sys
from pathlib import Path
from refinery_core.postgres.verify import verify
report = asyncio.run(verify(sys.argv[1], parallel=1))
status = Path("/proc/self/status")  # On Linux, ru_maxrss includes the memory of the parent.
peak = re.search(r"VmHWM:\\s*([0-9]+) kB", status.read_text())[1] if status.exists() else (
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
print(report.found.total(), len(report.findings), int(peak) >> 10)
"""


async def _peak(clone: Clone) -> tuple[int, int, int]:
    """Findings, those of them that are listed, and the memory of a process that verifies, in MiB."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PEAK, clone.reader_url, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found, listed, peak = map(int, out.split())
    return found, listed, peak


async def test_memory_does_not_grow_with_the_ledger_nor_with_what_is_wrong_in_it(clone: Clone) -> None:
    peaks = []
    for added in ((1, 3_000), (3_001, 12_000)):
        await clone.edit(DAMAGED, *added, "main@system/genesis?1", LAST)
        peaks.append(await _peak(clone))
    (some, _, small), (many, listed, large) = peaks
    assert many > 3 * some > 30_000
    assert listed < 10_000
    assert large < min(small + 8, 200)


async def test_large_documents_are_read_a_few_at_a_time(clone: Clone) -> None:
    await clone.edit(DAMAGED, 1, 40, "main@system/genesis?1", LAST)
    peaks = []
    for count in (10, 40):
        await clone.edit(LARGE, count, LAST)
        peaks.append((await _peak(clone))[2])
    small, large = peaks
    assert large < min(small + 8, 200)
