"""Whatever is edited behind the ledger's back, verify finds it."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from refinery_client import Draft
from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.postgres.verify import Finding, verify
from refinery_core.vibe import digests, documents
from refinery_core.vibe.model import VibeType
from tests.acceptance.conftest import SYSTEM_CAPABILITIES, Ledger, record, running
from tests.conftest import Database, fresh

TABLES = ("refinements", "vibes", "vibe_refs", "branches", "vibe_branches")
CONTENT = "verify_content"
ADDRESS = {"type": "object", "$defs": {"zip": {"type": "string"}}}
USER = {
    "properties": {
        "home": {"$ref": "aug:/schemas/address"},
        "zip": {"$ref": "aug:/schemas/address#/$defs/zip"},
        "old": {"$refOriginal": "aug:/schemas/address?1"},
    }
}


IMPORT = {
    "document": {"dsl": "1.0.3", "namespace": "tests", "name": "import", "version": "1.0.0"},
    "do": [{"nothing": {"set": {"imported": True}}}],
}


async def write_content(ledger: Ledger) -> None:
    """Something of everything: roles, branches, pins, inputs, prototypes, several drafts, several branches."""
    await ledger.refine(Draft(type=VibeType.ROLE, id="roles/editor", solution={"name": "Editor"}))
    editor = {"author_ref": "aug:/roles/editor"}
    await ledger.refine(record("schemas/address", schema=ADDRESS), **editor)
    await ledger.refine(
        record("schemas/user", schema=USER, context={"lang": "en"}),
        record("users/1", prototype_ref="aug:/schemas/user", solution={"zip": "1"}),
        Draft(type=VibeType.PROCESS, id="processes/import", solution=IMPORT),
        **editor,
    )
    await ledger.branch("dev")
    await ledger.branch("dev/deep", "dev")
    await ledger.refine(record("schemas/address", schema={"type": "object", **ADDRESS}), branch="dev")
    await ledger.refine(record("both", branches=["dev", "main"], solution=[1.5, 1e20, "é", None]))
    await ledger.refine(
        *[record(f"imported/{number}", solution={"n": number}) for number in range(5)],
        author_ref="aug:/processes/import",
        target_refs=["aug:/users/1", "aug:/both"],
        instruction_refs=["aug:/processes/import"],
        budget_refs=["aug:/roles/editor"],
    )
    for number in range(3):
        await ledger.refine(
            record("users/1", solution={"zip": str(number)}, schema={"$ref": "aug:/schemas/user"})
        )
    await ledger.refine(record("last", solution="the end"))


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
    reader_url: str

    async def edit(self, sql: str, *arguments: object) -> None:
        """Edit rows, every one of which the triggers would protect."""
        status = await self.superuser.execute(sql, *arguments)
        assert status.split()[-1] != "0", f"nothing was edited: {status}"

    async def end(self) -> tuple[int, bytes]:
        """What a witness keeps: the last position, and its chain."""
        row = await self.superuser.fetchrow(
            "select position, chain from refinery.refinements order by position desc limit 1"
        )
        return row["position"], row["chain"]

    async def findings(self, expect: tuple[int, bytes] | None = None) -> list[Finding]:
        return (await verify(self.reader_url, expect=expect)).findings


@pytest.fixture
async def clone(postgres: EmbeddedPostgres, content: str) -> AsyncIterator[Clone]:
    async with fresh(postgres, content) as name:
        connection = await asyncpg.connect(postgres.url(name))
        for table in TABLES:
            await connection.execute(f"alter table refinery.{table} disable trigger all")
        yield Clone(connection, postgres.url(name, "refinery_reader"))
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
    assert report.vibes == 19 + SYSTEM_CAPABILITIES
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
    "the order of drafts": ("chain", "position 9", "update refinery.vibes set ordinal = case ordinal when 0 then 90 else 0 end where position = 9 and ordinal in (0, 1)"),
    "the refinement of a Vibe": ("vibe", "main@last?1", "update refinery.vibes set refinement_id = (select id from refinery.refinements where position = 2) where ref = 'main@last?1'"),
    "a ref, and all that names it": ("digest", "main@last?7", "with v as (update refinery.vibes set ref = 'main@last?7', revision = 7 where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@last?7', from_revision = 7 where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@last?7', revision = 7 where ref = 'main@last?1'"),
    "an id, and all that names it": ("digest", "main@first?1", "with v as (update refinery.vibes set ref = 'main@first?1', id = 'first' where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@first?1', from_id = 'first' where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@first?1', id = 'first' where ref = 'main@last?1'"),
    # What is not there any more, or was not there before.
    "a Vibe": ("chain", "position 9", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1'), e as (delete from refinery.vibe_refs where from_ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe, but not its edges": ("edge", "main@imported/4?1", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe that others refer to": ("edge", "main@users/1?2", "delete from refinery.vibes where ref = 'main@schemas/user?1'"),
    "a Vibe too many": ("chain", "position 13", "insert into refinery.vibes select 'main@x?1', 'x', branches, 1, type, author_ref, null, refinement_id, position, 1, null, null, '1', '{}', sha256('1'), sha256('2') from refinery.vibes where ref = 'main@last?1'"),
    "a refinement in the middle, and all it made": ("position", "position 12", "with r as (delete from refinery.refinements where position = 11), b as (delete from refinery.vibe_branches where position = 11), e as (delete from refinery.vibe_refs where position = 11) delete from refinery.vibes where position = 11"),
    "a refinement, but not its Vibes": ("vibe", "main@users/1?3", "delete from refinery.refinements where position = 11"),
    "a refinement without Vibes": ("refinement", "position 14", "insert into refinery.refinements select gen_random_uuid(), 14, gen_random_uuid(), request_digest, principal, time, author_ref, '{}', '{}', '{}', chain from refinery.refinements where position = 13"),
    # What a refinement is.
    "a chain link": ("chain", "position 5", "update refinery.refinements set chain = sha256('x') where position = 5"),
    "a position": ("position", "position 99", "with v as (update refinery.vibes set position = 99 where position = 13), b as (update refinery.vibe_branches set position = 99 where position = 13), e as (update refinery.vibe_refs set position = 99 where position = 13) update refinery.refinements set position = 99 where position = 13"),
    "a time, by a microsecond": ("chain", "position 5", "update refinery.refinements set time = time + interval '1 microsecond' where position = 5"),
    "a time before the one before": ("time", "position 5", "update refinery.refinements set time = time - interval '1 day' where position = 5"),
    "a time that never comes": ("chain", "position 13", "update refinery.refinements set time = 'infinity' where position = 13"),
    "a principal": ("chain", "position 5", "update refinery.refinements set principal = 'mallory' where position = 5"),
    "a request_id": ("refinement", "position 5", "update refinery.refinements set request_id = gen_random_uuid() where position = 5"),
    "a request_id, and the ids made of it": ("chain", "position 5", "with n as (select gen_random_uuid() as r), v as (update refinery.vibes set refinement_id = refinery.refinement_id(n.r) from n where position = 5) update refinery.refinements set request_id = n.r, id = refinery.refinement_id(n.r) from n where position = 5"),
    "a request digest": ("chain", "position 5", "update refinery.refinements set request_digest = sha256('x') where position = 5"),
    "an author of a refinement": ("author", "main@last?1", "update refinery.refinements set author_ref = 'main@roles/editor?1' where position = 13"),
    "a target": ("digest", "main@imported/0?1", "update refinery.refinements set target_refs = array['main@users/1?1'] where position = 9"),
    "the order of targets": ("digest", "main@imported/0?1", "update refinery.refinements set target_refs = array[target_refs[2], target_refs[1]] where position = 9"),
    "a target that is no ref": ("edge", "main@imported/0?1", "update refinery.refinements set target_refs = '{x}' where position = 9"),
    "an instruction": ("digest", "main@imported/0?1", "update refinery.refinements set instruction_refs = '{}' where position = 9"),
    "a budget": ("digest", "main@imported/0?1", "update refinery.refinements set budget_refs = '{}' where position = 9"),
    # What was derived.
    "an edge too many": ("edge", "main@last?1", "insert into refinery.vibe_refs values ('main@last?1', 'main@users/1?1', 'target', false, 13, 'main', 'last', 1, 'users/1', 1)"),
    "an edge too few": ("edge", "main@imported/3?1", "delete from refinery.vibe_refs where from_ref = 'main@imported/3?1' and type = 'budget'"),
    "an edge that floats no more": ("edge", "main@users/1?2", "update refinery.vibe_refs set floating = not floating where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge to another Vibe": ("edge", "main@users/1?2", "update refinery.vibe_refs set to_ref = 'main@schemas/address?1', to_id = 'schemas/address' where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge of another type": ("edge", "main@users/1?1", "update refinery.vibe_refs set type = 'budget' where from_ref = 'main@users/1?1' and type = 'prototype'"),
    "a position of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set position = 1 where from_ref = 'main@users/1?2'"),
    "a branch of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set branch = 'dev' where from_ref = 'main@users/1?2'"),
    "an edge from nowhere": ("edge", "main@x?1", "insert into refinery.vibe_refs values ('main@x?1', 'main@users/1?1', 'target', false, 13, 'main', 'x', 1, 'users/1', 1)"),
    "a version missing on its branch": ("branch index", "main@both?1", "delete from refinery.vibe_branches where branch = 'main' and id = 'both'"),
    "a version on another branch too": ("branch index", "dev@last?1", "insert into refinery.vibe_branches values ('dev', 'last', 1, 13, 0, 'main@last?1')"),
    "a version of another Vibe": ("branch index", "main@users/1?4", "update refinery.vibe_branches set ref = 'main@users/1?3' where branch = 'main' and id = 'users/1' and revision = 4"),
    "a position on a branch": ("branch index", "main@users/1?4", "update refinery.vibe_branches set position = 3 where branch = 'main' and id = 'users/1' and revision = 4"),
    "a branch's fork": ("branch", "dev", "update refinery.branches set fork_position = 1 where name = 'dev'"),
    "a branch's parent": ("branch", "dev/deep", "update refinery.branches set parent = 'main' where name = 'dev/deep'"),
    "a branch's name": ("branch", "dev/odd", "update refinery.branches set name = 'dev/odd' where name = 'dev/deep'"),
    "a branch's Vibe": ("branch", "dev/deep", "update refinery.branches set ref = 'main@last?1' where name = 'dev/deep'"),
    "a branch": ("branch", "dev/deep", "delete from refinery.branches where name = 'dev/deep'"),
    "a branch too many": ("branch", "new", "insert into refinery.branches values ('new', 'main', 3, 'main@last?1')"),
    "main": ("branch", "main", "delete from refinery.branches where name = 'main'"),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
async def test_an_edit_behind_the_ledgers_back_is_found(clone: Clone, what: str) -> None:
    kind, place, sql = EDITS[what]
    await clone.edit(sql)
    findings = await clone.findings()
    assert any(kind == found.kind and place in found.place for found in findings), findings


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
    chain = digests.BEFORE_THE_FIRST
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
    assert [(found.kind, found.place) for found in await clone.findings()] == [("chain", "position 13")]


async def _rewrite_all(clone: Clone) -> None:
    await _rewrite(clone, "main@last?1", '"another end"')
    await _chain_anew(clone)


async def _cut_off(clone: Clone) -> None:
    for table in ("vibe_refs", "vibe_branches", "vibes", "refinements"):
        await clone.edit(f"delete from refinery.{table} where position > 11")


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
