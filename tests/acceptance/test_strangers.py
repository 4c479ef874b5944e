"""A program that shares no code with Refinery agrees with every ledger that nobody edited, and with no other."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from refinery_client import Draft, JsonText, Refine
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import FIRST, SEEDED, SEEDED_VIBES
from tests.cases.vectors import VECTORS
from tests.conftest import Database
from tests.support.ledger import AUTHOR, Ledger, record, running
from tests.support.ports import free_port
from tests.support.world import PARTS, TEXT, WHOLE, world

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tests" / "verifier"
VECTOR_FILE = ROOT / "docs" / "verifying" / "vectors.json"
AGREES, DIFFERS, UNKNOWN = 0, 1, 2
"""The exit codes of the program."""


@dataclass(frozen=True)
class Go:
    """The tools of Go that this machine has; nothing is downloaded."""

    program: Path
    environment: dict[str, str]

    def run(self, command: str, *arguments: str) -> str:
        """Run a command of `go` on the verifier, and give its output. If it fails, so does the test."""
        return self.output(self.program, command, "-C", SOURCE, *arguments)

    def output(self, *command: str | Path) -> str:
        out = subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE)
        return out.stdout.decode()


@dataclass(frozen=True)
class Verifier:
    """The program, built."""

    program: Path

    async def run(self, *arguments: str | Path) -> tuple[int, str]:
        """Its exit code, and its one sentence."""
        process = await asyncio.create_subprocess_exec(
            self.program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode().strip()


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    program = shutil.which("go")
    if program is None:
        pytest.skip("there is no Go on this machine")
    offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    environment = {**os.environ, **offline, "CGO_ENABLED": "0"}
    if not {"GOCACHE", "HOME", "XDG_CACHE_HOME"} & {name for name, value in environment.items() if value}:
        environment["GOCACHE"] = str(tmp_path_factory.mktemp("go"))
    return Go(Path(program).resolve(), environment)


@pytest.fixture(scope="session")
def verifier(go: Go, tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    program = tmp_path_factory.mktemp("verifier") / "verifier"
    go.run("build", "-buildvcs=false", "-o", str(program))
    return Verifier(program)


# The first of these compiles the standard library where no cache has it yet, which takes 30 s of CPU time.


def test_the_program_is_vetted(go: Go) -> None:
    go.run("vet", "./...")


def test_the_program_passes_its_own_tests(go: Go) -> None:
    go.run("test", "./...")


def test_the_program_is_formatted(go: Go) -> None:
    assert go.output(go.program.with_name("gofmt"), "-l", SOURCE) == ""


def test_the_program_needs_nothing_but_the_standard_library(go: Go) -> None:
    assert go.run("list", "-m", "all").split() == ["refinery.local/verifier"]


# --- Vectors --------------------------------------------------------------------------------


async def test_the_stored_vectors_agree(verifier: Verifier) -> None:
    count = sum(len(vectors) for vectors in VECTORS.values() if isinstance(vectors, list))
    assert await verifier.run("vectors", VECTOR_FILE) == (AGREES, f"{count} vectors agree")


@pytest.mark.parametrize(
    ("format_", "member"),
    [
        ("canonical", "canonical"),
        ("content", "content_digest"),
        ("vibe", "digest"),
        ("request", "request_digest"),
        ("origin", "origin"),
        ("refinement_id", "refinement_id"),
        ("chain", "chain"),
    ],
)
async def test_a_vector_that_differs_is_named(
    verifier: Verifier, tmp_path: Path, format_: str, member: str
) -> None:
    vectors = json.loads(VECTOR_FILE.read_bytes())
    last = vectors[format_][-1]
    right = last[member]
    last[member] = right[:-1] + ("1" if right[-1] == "0" else "0")
    damaged = tmp_path / "vectors.json"
    damaged.write_text(json.dumps(vectors))
    sentence = f'{format_} vector "{last["name"]}": is {right}, not {last[member]}'
    assert await verifier.run("vectors", damaged) == (DIFFERS, sentence)


# --- Ledgers --------------------------------------------------------------------------------


async def write(ledger: Ledger) -> None:
    """Some of everything that docs/verifying.md speaks of."""
    await world(ledger)
    await ledger.branch("dev/deep", "dev")
    await ledger.refine(
        Draft(type=VibeType.ROLE, id="roles/e", context={"é": None}),
        record("both", branches=["dev/deep", "main"], schema={"type": "object"}),
    )
    pins = {
        "$defs": {"alias": {"$ref": "aug:main@both?1"}, "exact": {"$refOriginal": "aug:/both?1"}},
        "properties": {"$ref": {"$ref": "aug:/whole"}, "$refResolved": {"$ref": "aug:/Z#"}},
        "const": {"$ref": "aug:/nowhere", "$refResolved": 2**63},
    }
    await ledger.refine(record("pins", schema=pins), record("after", prototype_ref="aug:/pins"))
    names = {"\U0001f600": 1, "\ufb33": 2, "é": 3, "": 4, "a/b~": {"\u2028": "\x1f\x7f"}}
    numbers = JsonText(
        f"[-0, 1e3, 4.50, 2E23, 1e-7, 333333333.33333329, 1e20, {2**53 + 1}, {2**64 - 1}, {-(2**63)}]"
    )
    await ledger.refine(
        record("names", context=None, schema=True, solution=names),
        record("numbers", solution=numbers),
        target_refs=["main@both?1", "aug:/both", "aug:/hot", "aug:/pins"],
        instruction_refs=["main@both?1"],
        budget_refs=["aug:/hot", "aug:/hot"],
    )


async def end(ledger: Ledger) -> str:
    """The end of a ledger as people keep it: POSITION:CHAIN."""
    about = await ledger.refinery.get_ledger()
    return f"{about.position}:{about.chain.hex()}"


async def test_a_ledger_with_some_of_everything_agrees(ledger: Ledger, verifier: Verifier) -> None:
    await write(ledger)
    about = await ledger.refinery.get_ledger()
    vibes = (await ledger.rows("select count(*) from refinery.vibes"))[0][0]
    sentence = f"ledger {about.ledger_id}: {about.position} refinements and {vibes} Vibes agree, to {await end(ledger)}"
    assert await verifier.run("ledger", ledger.address) == (AGREES, sentence)


async def test_a_ledger_of_many_pages_agrees(ledger: Ledger, verifier: Verifier) -> None:
    refines = [Refine(author_ref=AUTHOR, drafts=[record(f"x/{number}")]) for number in range(1_010)]
    async for outcome in ledger.refinery.refine_many(refines):
        outcome.unwrap()
    await ledger.refine(*(record(f"large/{number}", solution="é" * 400_000) for number in range(5)))
    code, sentence = await verifier.run("ledger", ledger.address)
    assert (code, sentence.split(" agree, to ")[1]) == (AGREES, await end(ledger))
    assert f"{SEEDED + 1_011} refinements and {SEEDED_VIBES + 1_015} Vibes" in sentence


async def test_the_end_that_somebody_kept_has_to_be_there(ledger: Ledger, verifier: Verifier) -> None:
    kept = await end(ledger)
    await ledger.record("more")
    assert (await verifier.run("ledger", ledger.address, kept))[0] == AGREES
    last = await end(ledger)
    assert (await verifier.run("ledger", ledger.address, last))[0] == AGREES
    position, chain = last.split(":")
    assert await verifier.run("ledger", ledger.address, f"{SEEDED}:{chain}") == (
        DIFFERS,
        f"position {SEEDED}: has the chain {kept.split(':')[1]}, but {chain} was kept",
    )
    cut_off = f"position {FIRST + 1}: is missing: the ledger ends at {position}"
    assert await verifier.run("ledger", ledger.address, f"{FIRST + 1}:{chain}") == (DIFFERS, cut_off)


async def test_a_ledger_that_cannot_be_reached_is_neither_right_nor_wrong(verifier: Verifier) -> None:
    code, sentence = await verifier.run("ledger", f"127.0.0.1:{free_port()}")
    assert code == UNKNOWN
    assert "connection refused" in sentence
    assert (await verifier.run("ledger"))[0] == UNKNOWN


# --- Edits ----------------------------------------------------------------------------------

TABLES = ("ledger", "vibes", "refinements")
EDITS = {
    "a solution": ("main@text?1: has the content digest", "update refinery.vibes set solution = '{}' where ref = 'main@text?1'"),
    "a solution taken away": ("main@text?1: has the content digest", "update refinery.vibes set solution = null where ref = 'main@text?1'"),
    "an absent solution that becomes null": ("dev/deep@both?1: has the content digest", "update refinery.vibes set solution = 'null' where ref = 'dev/deep@both?1'"),
    "a context": ("main@roles/e?1: has the content digest", "update refinery.vibes set context = '{}' where ref = 'main@roles/e?1'"),
    "a pin": ("main@pins?1: has the content digest", "update refinery.vibes set schema = replace(schema::text, 'main@Z?1', 'main@a?1')::jsonb where ref = 'main@pins?1'"),
    "a content digest": ("main@text?1: has the content digest", "update refinery.vibes set content_digest = sha256('x') where ref = 'main@text?1'"),
    "a digest": ("main@Z?1: has the digest", "update refinery.vibes set digest = sha256('x') where ref = 'main@Z?1'"),
    "a type": ("main@text?1: has the digest", "update refinery.vibes set type = 'CAPABILITY' where ref = 'main@text?1'"),
    "branches": ("dev/deep@both?1: has the digest", "update refinery.vibes set branches = '{dev/deep}' where ref = 'dev/deep@both?1'"),
    "a prototype": ("main@after?1: has the digest", "update refinery.vibes set prototype_ref = 'main@Z?1' where ref = 'main@after?1'"),
    "a prototype of its future": ("main@after?1: refers to main@names?1, which is not before it", "update refinery.vibes set prototype_ref = 'main@names?1' where ref = 'main@after?1'"),
    "a ref": ("main@text?7: has the digest", "update refinery.vibes set ref = 'main@text?7', revision = 7 where ref = 'main@text?1'"),
    "the order of targets": ("main@names?1: has the digest", "update refinery.refinements set target_refs = array[target_refs[2], target_refs[1], target_refs[4], target_refs[3]] where position = (select position from refinery.vibes where ref = 'main@names?1')"),
    "a budget": ("main@names?1: has the digest", "update refinery.refinements set budget_refs = budget_refs[:1] where position = (select position from refinery.vibes where ref = 'main@names?1')"),
    "an author": ("main@text?1: has another id, time or author", f"update refinery.refinements set author_ref = 'main@roles/a?1' where position = {TEXT}"),
    "a chain link": (f"position {WHOLE}: has the chain", f"update refinery.refinements set chain = sha256('x') where position = {WHOLE}"),
    "the last chain link": ("position {end}: has the chain", "update refinery.refinements set chain = sha256('x') where position = (select max(position) from refinery.refinements)"),
    "a time, by a microsecond": (f"position {WHOLE}: has the chain", f"update refinery.refinements set time = time + interval '1 microsecond' where position = {WHOLE}"),
    "a time before the one before": (f"position {WHOLE}: has a time before that of the position before", f"update refinery.refinements set time = time - interval '1 day' where position = {WHOLE}"),
    "a principal": (f"position {WHOLE}: has the chain", f"update refinery.refinements set principal = 'mallory' where position = {WHOLE}"),
    "a request_id": (f"position {WHOLE}: has the id", f"update refinery.refinements set request_id = gen_random_uuid() where position = {WHOLE}"),
    "a request digest": (f"position {WHOLE}: has the chain", f"update refinery.refinements set request_digest = sha256('x') where position = {WHOLE}"),
    "the request digest of the genesis": ("position 1: has the request_digest", "update refinery.refinements set request_digest = sha256('x') where position = 1"),
    "the request digest of the schema of Roles": (f"position {SEEDED}: has the request_digest", f"update refinery.refinements set request_digest = sha256('x') where position = {SEEDED}"),
    "the principal of the genesis": ("position 1: has the request_id", "update refinery.refinements set principal = 'mallory' where position = 1"),
    "the order of drafts": (f"position {PARTS}: has the chain", f"update refinery.vibes set ordinal = case ordinal when 0 then 90 else 0 end where position = {PARTS} and ordinal in (0, 1)"),
    "a Vibe": (f"position {PARTS}: has the chain", "delete from refinery.vibes where ref = 'main@a.b?1'"),
    "a refinement, but not its Vibes": (f"position {TEXT + 1}: follows position {TEXT - 1}", f"delete from refinery.refinements where position = {TEXT}"),
    "a refinement, and all that it made": (f"position {TEXT + 1}: follows position {TEXT - 1}", f"with v as (delete from refinery.vibes where position = {TEXT}) delete from refinery.refinements where position = {TEXT}"),
    "another ledger": ("position 1: has the chain", "update refinery.ledger set id = gen_random_uuid()"),
}  # fmt: skip
"""The place and the name of a finding, and the statement that causes it."""


@asynccontextmanager
async def superuser(ledger: Ledger) -> AsyncIterator[asyncpg.Connection]:
    """A connection that no trigger stops."""
    connection = await asyncpg.connect(ledger.database.owner_url)
    try:
        for table in TABLES:
            await connection.execute(f"alter table refinery.{table} disable trigger all")
        yield connection
    finally:
        await connection.close()


async def test_an_edit_behind_the_ledgers_back_is_named(
    database: Database, verifier: Verifier, subtests: pytest.Subtests
) -> None:
    async with running(database, cache_bytes=0) as ledger:  # It answers from the rows as they are now.
        await write(ledger)
        last, _ = (await end(ledger)).split(":")
        async with superuser(ledger) as connection:
            for table in TABLES:
                await connection.execute(f"create temporary table {table} as table refinery.{table}")
            for what, (found, statement) in EDITS.items():
                with subtests.test(what):
                    assert (await connection.execute(statement)).split()[-1] != "0"
                    code, sentence = await verifier.run("ledger", ledger.address)
                    assert code == DIFFERS, sentence
                    assert sentence.startswith(found.format(end=last)), sentence
                for table in TABLES:
                    await connection.execute(f"delete from refinery.{table}")
                    await connection.execute(f"insert into refinery.{table} table pg_temp.{table}")
        assert (await verifier.run("ledger", ledger.address))[0] == AGREES
