"""Verify finds every edit behind the ledger's back."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any

import asyncpg
import pytest

from refinery_core.postgres import verify_stretch
from refinery_core.postgres.verify import Finding, Report, verify
from refinery_core.postgres.verify_child import Child
from refinery_core.postgres.verify_stretch import Stretch
from refinery_core.vibe import digests, documents
from refinery_local.postgres import EmbeddedPostgres
from tests.acceptance.conftest import running
from tests.cases.seeded import SEEDED_VIBES
from tests.conftest import Database, fresh
from tests.support.content import FORK, IMPORTED, LAST, REVISED, write_content

TABLES = ("refinements", "vibes", "vibe_refs", "branches", "vibe_branches")
CONTENT = "verify_content"
CUT_OFF = """
import asyncio, asyncpg, sys
async def cut_off():
    connection = await asyncpg.connect(sys.argv[1])
    for table in ("vibe_refs", "vibe_branches", "vibes", "refinements"):
        await connection.execute(f"delete from refinery.{table} where position > $1", int(sys.argv[2]))
    await connection.close()
asyncio.run(cut_off())
"""


@pytest.fixture(scope="module")
def content(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a database with content, to be cloned."""

    async def make() -> None:
        await execute(postgres.url("postgres"), f"create database {CONTENT} template {template}")
        urls = [postgres.url(CONTENT, role) for role in ("refinery_app", "refinery_reader", "postgres")]
        async with running(Database(CONTENT, *urls)) as ledger:
            await write_content(ledger)

    asyncio.run(make())
    yield CONTENT
    asyncio.run(execute(postgres.url("postgres"), f"drop database {CONTENT} with (force)"))


@dataclass(frozen=True)
class Clone:
    """A ledger with content, and a superuser who means no good."""

    superuser: asyncpg.Connection
    superuser_url: str
    reader_url: str

    async def edit(self, sql: str, *arguments: object) -> None:
        """Edit rows, every one of which the triggers would protect."""
        status = await self.superuser.execute(sql, *arguments)
        assert status.split()[-1] != "0", f"nothing was edited: {status}"

    async def chain(self, position: int) -> bytes:
        """The chain at a position."""
        return await self.superuser.fetchval(  # type: ignore[no-any-return]
            "select chain from refinery.refinements where position = $1", position
        )

    async def end(self) -> tuple[int, bytes]:
        """A witness: the last position, and its chain."""
        row = await self.superuser.fetchrow(
            "select position, chain from refinery.refinements order by position desc limit 1"
        )
        return row["position"], row["chain"]

    async def findings(self, **options: Any) -> list[Finding]:
        return (await verify(self.reader_url, **options)).findings


@pytest.fixture
async def clone(postgres: EmbeddedPostgres, content: str) -> AsyncIterator[Clone]:
    async with fresh(postgres, content) as name:
        connection = await asyncpg.connect(postgres.url(name))
        for table in TABLES:
            await connection.execute(f"alter table refinery.{table} disable trigger all")
        yield Clone(connection, postgres.url(name), postgres.url(name, "refinery_reader"))
        await connection.close()


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_a_ledger_that_nobody_edited_is_sound(clone: Clone) -> None:
    report = await verify(clone.reader_url, expect=await clone.end())
    assert report.findings == []
    assert (report.position, report.chain) == await clone.end()
    assert report.vibes == 18 + SEEDED_VIBES
    assert report.edges > 40
    for row in await clone.superuser.fetch("select position, chain from refinery.refinements"):
        assert await clone.findings(expect=(row["position"], row["chain"])) == []


Edit = tuple[str, str, str]
"""A kind and a place of what is found, and the statement."""

EDITS: dict[str, Edit] = {
    # What is in a Vibe.
    "a solution": ("content", "main@users/1?2", "update refinery.vibes set solution = '{\"zip\": \"9\"}' where ref = 'main@users/1?2'"),
    "a solution taken away": ("content", "main@last?1", "update refinery.vibes set solution = null where ref = 'main@last?1'"),
    "an absent solution that becomes null": ("content", "main@schemas/address?1", "update refinery.vibes set solution = 'null' where ref = 'main@schemas/address?1'"),
    "a number of a solution": ("content", "dev@both?1", "update refinery.vibes set solution = jsonb_set(solution, '{0}', '1.25') where ref = 'dev@both?1'"),
    "a number that is none": ("content", "dev@both?1", "update refinery.vibes set solution = jsonb_set(solution, '{0}', '1e300') where ref = 'dev@both?1'"),
    "the genesis": ("content", "main@system/genesis?1", "update refinery.vibes set solution = '{}' where ref = 'main@system/genesis?1'"),
    "a schema": ("content", "main@schemas/address?1", "update refinery.vibes set schema = schema || '{\"minProperties\": 1}' where ref = 'main@schemas/address?1'"),
    "a context": ("content", "main@schemas/user?1", "update refinery.vibes set context = '{\"lang\": \"de\"}' where ref = 'main@schemas/user?1'"),
    "a pin": ("pin", "main@users/1?2", "update refinery.vibes set schema = replace(schema::text, 'main@schemas/user?1', 'main@schemas/address?1')::jsonb where ref = 'main@users/1?2'"),
    "a pin, to another version": ("content", "main@schemas/user?1", "update refinery.vibes set schema = replace(schema::text, 'main@schemas/address?1', 'dev@schemas/address?2')::jsonb where ref = 'main@schemas/user?1'"),
    "the references of a schema": ("schema_refs", "main@users/1?2", "update refinery.vibes set schema_refs = '{}' where ref = 'main@users/1?2'"),
    "a content digest": ("content", "main@last?1", "update refinery.vibes set content_digest = sha256('x') where ref = 'main@last?1'"),
    "a digest": ("digest", "main@last?1", "update refinery.vibes set digest = sha256('x') where ref = 'main@last?1'"),
    # What a Vibe is.
    "an author": ("author", "main@last?1", "update refinery.vibes set author_ref = 'main@roles/editor?1' where ref = 'main@last?1'"),
    "a prototype": ("digest", "main@users/1?1", "update refinery.vibes set prototype_ref = 'main@schemas/address?1' where ref = 'main@users/1?1'"),
    "a prototype taken away": ("digest", "main@users/1?1", "update refinery.vibes set prototype_ref = null where ref = 'main@users/1?1'"),
    "a prototype of its future": ("edge", "main@users/1?1", "update refinery.vibes set prototype_ref = 'main@last?1' where ref = 'main@users/1?1'"),
    "a type": ("digest", "main@last?1", "update refinery.vibes set type = 'CAPABILITY' where ref = 'main@last?1'"),
    "a type of one version": ("type", "users/1", "update refinery.vibes set type = 'CAPABILITY' where ref = 'main@users/1?2'"),
    "branches": ("digest", "dev@both?1", "update refinery.vibes set branches = '{dev}' where ref = 'dev@both?1'"),
    "the order of drafts": ("chain", f"position {IMPORTED}", f"update refinery.vibes set ordinal = case ordinal when 0 then 90 else 0 end where position = {IMPORTED} and ordinal in (0, 1)"),
    "the refinement of a Vibe": ("vibe", "main@last?1", "update refinery.vibes set refinement_id = (select id from refinery.refinements where position = 2) where ref = 'main@last?1'"),
    "a ref, and all that names it": ("digest", "main@last?7", "with v as (update refinery.vibes set ref = 'main@last?7', revision = 7 where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@last?7', from_revision = 7 where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@last?7', revision = 7 where ref = 'main@last?1'"),
    "an id, and all that names it": ("digest", "main@first?1", "with v as (update refinery.vibes set ref = 'main@first?1', id = 'first' where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@first?1', from_id = 'first' where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@first?1', id = 'first' where ref = 'main@last?1'"),
    # What is not there any more, or was not there before.
    "a Vibe": ("chain", f"position {IMPORTED}", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1'), e as (delete from refinery.vibe_refs where from_ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe, but not its edges": ("edge", "main@imported/4?1", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe that others refer to": ("edge", "main@users/1?2", "delete from refinery.vibes where ref = 'main@schemas/user?1'"),
    "a Vibe too many": ("chain", f"position {LAST}", "insert into refinery.vibes select 'main@x?1', 'x', branches, 1, type, author_ref, null, refinement_id, position, 1, null, null, '1', '{}', sha256('1'), sha256('2') from refinery.vibes where ref = 'main@last?1'"),
    "a refinement in the middle, and all it made": ("position", f"position {REVISED + 1}", f"with r as (delete from refinery.refinements where position = {REVISED}), b as (delete from refinery.vibe_branches where position = {REVISED}), e as (delete from refinery.vibe_refs where position = {REVISED}) delete from refinery.vibes where position = {REVISED}"),
    "a refinement, but not its Vibes": ("vibe", "main@users/1?3", f"delete from refinery.refinements where position = {REVISED}"),
    "a refinement without Vibes": ("refinement", f"position {LAST + 1}", f"insert into refinery.refinements select gen_random_uuid(), {LAST + 1}, gen_random_uuid(), request_digest, principal, time, author_ref, '{{}}', '{{}}', '{{}}', chain from refinery.refinements where position = {LAST}"),
    # What a refinement is.
    "a chain link": ("chain", f"position {FORK}", f"update refinery.refinements set chain = sha256('x') where position = {FORK}"),
    "a position": ("position", "position 99", f"with v as (update refinery.vibes set position = 99 where position = {LAST}), b as (update refinery.vibe_branches set position = 99 where position = {LAST}), e as (update refinery.vibe_refs set position = 99 where position = {LAST}) update refinery.refinements set position = 99 where position = {LAST}"),
    "a time, by a microsecond": ("chain", f"position {FORK}", f"update refinery.refinements set time = time + interval '1 microsecond' where position = {FORK}"),
    "a time before the one before": ("time", f"position {FORK}", f"update refinery.refinements set time = time - interval '1 day' where position = {FORK}"),
    "a time that never comes": ("chain", f"position {LAST}", f"update refinery.refinements set time = 'infinity' where position = {LAST}"),
    "a principal": ("chain", f"position {FORK}", f"update refinery.refinements set principal = 'mallory' where position = {FORK}"),
    "a request_id": ("refinement", f"position {FORK}", f"update refinery.refinements set request_id = gen_random_uuid() where position = {FORK}"),
    "a request_id, and the ids made of it": ("chain", f"position {FORK}", f"with n as (select gen_random_uuid() as r), v as (update refinery.vibes set refinement_id = refinery.refinement_id(n.r) from n where position = {FORK}) update refinery.refinements set request_id = n.r, id = refinery.refinement_id(n.r) from n where position = {FORK}"),
    "a request digest": ("chain", f"position {FORK}", f"update refinery.refinements set request_digest = sha256('x') where position = {FORK}"),
    "an author of a refinement": ("author", "main@last?1", f"update refinery.refinements set author_ref = 'main@roles/editor?1' where position = {LAST}"),
    "a target": ("digest", "main@imported/0?1", f"update refinery.refinements set target_refs = array['main@users/1?1'] where position = {IMPORTED}"),
    "the order of targets": ("digest", "main@imported/0?1", f"update refinery.refinements set target_refs = array[target_refs[2], target_refs[1]] where position = {IMPORTED}"),
    "a target that is no ref": ("edge", "main@imported/0?1", f"update refinery.refinements set target_refs = '{{x}}' where position = {IMPORTED}"),
    "an instruction": ("digest", "main@imported/0?1", f"update refinery.refinements set instruction_refs = '{{}}' where position = {IMPORTED}"),
    "a budget": ("digest", "main@imported/0?1", f"update refinery.refinements set budget_refs = '{{}}' where position = {IMPORTED}"),
    # What was derived.
    "an edge too many": ("edge", "main@last?1", f"insert into refinery.vibe_refs values ('main@last?1', 'main@users/1?1', 'target', false, {LAST}, 'main', 'last', 1, 'users/1', 1)"),
    "an edge too few": ("edge", "main@imported/3?1", "delete from refinery.vibe_refs where from_ref = 'main@imported/3?1' and type = 'budget'"),
    "an edge that floats no more": ("edge", "main@users/1?2", "update refinery.vibe_refs set floating = not floating where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge to another Vibe": ("edge", "main@users/1?2", "update refinery.vibe_refs set to_ref = 'main@schemas/address?1', to_id = 'schemas/address' where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge of another type": ("edge", "main@users/1?1", "update refinery.vibe_refs set type = 'budget' where from_ref = 'main@users/1?1' and type = 'prototype'"),
    "a position of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set position = 1 where from_ref = 'main@users/1?2'"),
    "a branch of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set branch = 'dev' where from_ref = 'main@users/1?2'"),
    "an edge from nowhere": ("edge", "main@x?1", f"insert into refinery.vibe_refs values ('main@x?1', 'main@users/1?1', 'target', false, {LAST}, 'main', 'x', 1, 'users/1', 1)"),
    "a version missing on its branch": ("branch index", "main@both?1", "delete from refinery.vibe_branches where branch = 'main' and id = 'both'"),
    "a version on another branch too": ("branch index", "dev@last?1", f"insert into refinery.vibe_branches values ('dev', 'last', 1, {LAST}, 0, 'main@last?1')"),
    "a version of another Vibe": ("branch index", "main@users/1?4", "update refinery.vibe_branches set ref = 'main@users/1?3' where branch = 'main' and id = 'users/1' and revision = 4"),
    "a position on a branch": ("branch index", "main@users/1?4", "update refinery.vibe_branches set position = 3 where branch = 'main' and id = 'users/1' and revision = 4"),
    "a branch's fork": ("branch", "dev", "update refinery.branches set fork_position = 1 where name = 'dev'"),
    "a branch's parent": ("branch", "dev/deep", "update refinery.branches set parent = 'main' where name = 'dev/deep'"),
    "a branch's name": ("branch", "dev/odd", "update refinery.branches set name = 'dev/odd' where name = 'dev/deep'"),
    "a branch's Vibe": ("branch", "dev/deep", "update refinery.branches set ref = 'main@last?1' where name = 'dev/deep'"),
    "a branch": ("branch", "dev/deep", "delete from refinery.branches where name = 'dev/deep'"),
    "a branch too many": ("branch", "new", "insert into refinery.branches values ('new', 'main', 3, 'main@last?1')"),
    "main": ("branch", "main", "delete from refinery.branches where name = 'main'"),
    "a branch's parent, to none that there is": ("branch", "dev", "update refinery.branches set parent = 'gone' where name = 'dev'"),
    "a branch's parent, to itself": ("branch", "dev", "update refinery.branches set parent = 'dev' where name = 'dev'"),
    "where a branch's Vibe says that it forks": ("content", "main@system/branches/dev?1", "update refinery.vibes set solution = solution || '{\"fork_position\": \"here\"}' where id = 'system/branches/dev'"),
    # What no driver and no reader of JSON takes.
    "a time before all calendars": ("time", f"position {FORK}", f"update refinery.refinements set time = '0044-03-15 BC' where position = {FORK}"),
    "a number beyond all doubles, beside a pin": ("content", "main@users/1?2", "update refinery.vibes set schema = schema || jsonb_build_object('maximum', repeat('9', 400)::numeric) where ref = 'main@users/1?2'"),
    "a number that skips some": ("revision", "main@last?7", "with v as (update refinery.vibes set ref = 'main@last?7', revision = 7 where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@last?7', from_revision = 7 where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@last?7', revision = 7 where ref = 'main@last?1'"),
    "a position beyond all others": ("position", "position 9223372036854775807", f"update refinery.refinements set position = 9223372036854775807 where position = {LAST}"),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
async def test_an_edit_behind_the_ledgers_back_is_found(clone: Clone, what: str) -> None:
    kind, place, sql = EDITS[what]
    await clone.edit(sql)
    findings = await clone.findings()
    assert any(kind == found.kind and place in found.place for found in findings), findings


SMALL = (("REFINEMENTS_AT_ONCE", 2), ("SIZES_AT_ONCE", 2), ("PAGE_BYTES", 1))


@pytest.mark.parametrize("what", EDITS)
async def test_what_is_found_does_not_depend_on_where_the_ledger_is_cut(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await clone.edit(EDITS[what][2])
    whole = await verify(clone.reader_url)
    for name, size in SMALL:
        monkeypatch.setattr(verify_stretch, name, size)
    parts = await verify(clone.reader_url, stretch=1, parallel=1)
    assert sorted(parts.findings, key=astuple) == sorted(whole.findings, key=astuple)
    assert replace(parts, findings=[]) == replace(whole, findings=[])


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


# --- What is new ----------------------------------------------------------------------------


async def test_what_was_verified_before_is_not_looked_at_again(clone: Clone) -> None:
    since = IMPORTED, await clone.chain(IMPORTED)
    whole, new = await verify(clone.reader_url), await verify(clone.reader_url, since=since)
    assert new.findings == []
    assert (new.position, new.chain) == (whole.position, whole.chain)
    assert (new.vibes, new.edges) == (4, await clone.superuser.fetchval(
        "select count(*) from refinery.vibe_refs where position > $1", IMPORTED))  # fmt: skip
    nothing = await verify(clone.reader_url, since=await clone.end())
    assert (nothing.position, nothing.chain) == await clone.end()
    assert nothing == Report(whole.ledger, *await clone.end())


@pytest.mark.parametrize(
    "what",
    [
        "a solution taken away",
        "an edge from nowhere",
        "a Vibe too many",
        "the order of targets",
        "a position on a branch",
        "a version on another branch too",
        "a time that never comes",
    ],
)
async def test_what_was_edited_is_found_where_it_is_new_and_only_there(clone: Clone, what: str) -> None:
    kind, place, sql = EDITS[what]
    position = IMPORTED if what == "the order of targets" else LAST - 1
    first, last = (position - 1, await clone.chain(position - 1)), await clone.end()
    await clone.edit(sql)
    findings = await clone.findings(since=first)
    assert any(kind == found.kind and place in found.place for found in findings), findings
    if what != "a time that never comes":
        assert await clone.findings(since=(LAST, last[1])) == []


async def test_a_past_that_is_not_the_one_that_was_verified_is_told(clone: Clone) -> None:
    since = IMPORTED, await clone.chain(IMPORTED)
    await clone.edit("update refinery.refinements set chain = sha256('x') where position = $1", IMPORTED)
    (before, chain) = await clone.findings(since=since)
    assert (before.kind, before.place) == ("chain", f"position {IMPORTED + 1}")
    assert (chain.kind, chain.place) == ("chain", f"position {IMPORTED}")
    assert "is not the chain that was expected" in chain.sentence
    (tail,) = await clone.findings(since=(99, since[1]))
    assert (tail.kind, tail.place) == ("tail", "position 99")
    assert tail.sentence == f"is missing: the ledger ends at {LAST}"


# --- At size --------------------------------------------------------------------------------

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
status = Path("/proc/self/status")  # On Linux, what the parent took counts in ru_maxrss too.
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


async def _rewrite(clone: Clone, ref: str, solution: str) -> None:
    """Change a Vibe that nothing refers to, with its digests, so that the row agrees with itself."""
    row = await clone.superuser.fetchrow("select * from refinery.vibes where ref = $1", ref)
    author = await clone.superuser.fetchval(
        "select digest from refinery.vibes where ref = $1", row["author_ref"]
    )
    content = digests.content_digest(None, None, documents.parse(solution).text)
    digest = digests.vibe_digest(
        type=row["type"],
        ref=ref,
        branches=row["branches"],
        author_ref=row["author_ref"],
        prototype_ref=None,
        target_refs=[],
        instruction_refs=[],
        budget_refs=[],
        content_digest=content,
        referred={row["author_ref"]: author},
    )
    await clone.edit(
        "update refinery.vibes set solution = $2::text::jsonb, content_digest = $3, digest = $4 where ref = $1",
        ref,
        solution,
        content,
        digest,
    )


async def _chain_anew(clone: Clone) -> None:
    """Compute every chain link again, as one would who has all the time in the world."""
    chain = digests.origin(await clone.superuser.fetchval("select id from refinery.ledger"))
    for row in await clone.superuser.fetch("select * from refinery.refinements order by position"):
        made = await clone.superuser.fetch(
            "select digest from refinery.vibes where position = $1 order by ordinal", row["position"]
        )
        chain = digests.chain(
            previous=chain,
            position=row["position"],
            time_us=digests.time_us(row["time"]),
            principal=row["principal"],
            request_id=row["request_id"],
            request_digest=row["request_digest"],
            digests=[vibe["digest"] for vibe in made],
        )
        await clone.edit("update refinery.refinements set chain = $2 where id = $1", row["id"], chain)


async def test_digests_made_anew_do_not_fit_the_chain(clone: Clone) -> None:
    await _rewrite(clone, "main@last?1", '"another end"')
    assert [(found.kind, found.place) for found in await clone.findings()] == [("chain", f"position {LAST}")]


async def _rewrite_all(clone: Clone) -> None:
    await _rewrite(clone, "main@last?1", '"another end"')
    await _chain_anew(clone)


async def _cut_off(clone: Clone) -> None:
    for table in ("vibe_refs", "vibe_branches", "vibes", "refinements"):
        await clone.edit(f"delete from refinery.{table} where position > $1", REVISED)


@pytest.mark.parametrize(("forge", "kind"), [(_rewrite_all, "chain"), (_cut_off, "tail")])
async def test_a_past_that_was_made_anew_throughout_is_found_by_who_kept_a_chain(
    clone: Clone, forge: Callable[[Clone], Awaitable[None]], kind: str
) -> None:
    kept = await clone.end()
    await forge(clone)
    assert await clone.findings() == []
    assert [found.kind for found in await clone.findings(expect=kept)] == [kind]


async def test_a_chain_that_was_never_answered_is_not_confirmed(clone: Clone) -> None:
    position, chain = await clone.end()
    for expect in ((position, bytes(32)), (position - 1, chain), (position + 1, chain), (0, chain)):
        assert await clone.findings(expect=expect) != [], expect
