"""The buffers that a page reads under generic plans: in proportion to the page, not to the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from refinery_core.postgres.queries import QUERIES
from refinery_local.postgres import EmbeddedPostgres
from tests.sql.conftest import execute

NAME = "test_pages"
AUTHOR = "main@system/genesis?1"
TYPES = ["RECORD", "ROLE", "PROCESS", "CAPABILITY"]
MOST, LAST = 2**63 - 1, 2**31 - 1
OTHERS, MANY = 20_000, 20_000
SIZE = 50

POPULATE = """
with p as (
         select n, n + 100 as position, case when m then 'many/one' else 'x/' || n end as id,
                case when m then n - 10000 else 1 end as revision
         from generate_series(1, $1::bigint + $2) n,
              lateral (select n between 10001 and 10000 + $2) as o (m)),
     r as (insert into refinery.refinements (id, position, request_id, request_digest, principal, time,
                                             author_ref, target_refs, instruction_refs, budget_refs, chain)
           select md5('i' || n)::uuid, position, md5('r' || n)::uuid, sha256('r'), 'test',
                  '2030-01-01'::timestamptz + n * interval '1 s', $3, '{}', '{}', '{}', sha256('c')
           from p)
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            solution, content_digest, digest)
select 'main@' || id || '?' || revision, id, '{main}', revision,
       case when n % 10000 = 7 then 'ROLE' else 'RECORD' end, $3, md5('i' || n)::uuid, position, 0,
       to_jsonb(repeat('x', 200)), sha256('c'), sha256(convert_to('d' || n, 'UTF8'))
from p order by n
"""
BRANCHES = """
insert into refinery.branches (name, parent, fork_position, ref)
select 'dev/' || n, 'main', 10000, 'main@x/1?1' from generate_series(1, 2000) n
"""

END = OTHERS + MANY
REFS = [f"main@x/{number}?1" for number in range(1, SIZE + 1)]
PAGES: list[tuple[str, tuple[object, ...]]] = [
    ("vibes_by_name", (REFS,)),
    ("vibes_by_ref", (REFS,)),
    ("refs_by_name", (REFS,)),
    ("ref_by_digest", (sha256(b"d5").digest(),)),
    ("vibes_of_refinement", (END,)),
    ("list_vibes", (END - 500, 0, SIZE, MOST)),
    ("list_vibes_of_type", (END - 500, 0, SIZE, MOST, "RECORD")),
    ("list_vibes_of_type", (0, 0, SIZE, MOST, "ROLE")),
    ("list_vibes_by_author", (END - 500, 0, SIZE, MOST, AUTHOR, TYPES, [])),
    ("list_vibes_by_author", (100, 0, SIZE, MOST, AUTHOR, ["PROCESS"], [])),
    ("list_vibes_on_branch", (END - 500, 0, SIZE, MOST, "main", TYPES)),
    ("list_vibes_on_branch", (100, 0, SIZE, MOST, "main", ["PROCESS"])),
    ("list_vibes_under_prefix", ("x/2", 0, 0, SIZE, "x/\x7f", 0, MOST, TYPES, [], "")),
    ("list_vibes_under_prefix", ("many/", 0, 0, SIZE, "many/\x7f", END, MOST, TYPES, ["main"], AUTHOR)),
    ("list_latest_vibes", ("", SIZE, "", "\x7f", 0, MOST, TYPES, "main")),
    ("list_latest_vibes", ("", SIZE, "many/", "many/\x7f", 0, 15_000, TYPES, "main")),
    ("list_revisions", ("main", "many/one", MOST, LAST, SIZE)),
    ("list_revisions", ("main", "many/one", 15_000, LAST, SIZE)),
    ("watch_vibes", (END - 500, 0, SIZE, MOST, [], "many/")),
    ("watch_vibes", (100, LAST, SIZE, MOST, ["main"], "nothing/")),
    ("refinement_by_id", (UUID(int=1),)),
    ("refinement_by_request_id", (UUID(int=1),)),
    ("refinement_by_position", (END,)),
    ("refinement_by_vibe", (f"main@many/one?{MANY - 5}",)),
    ("refinements_at", ([*range(END - SIZE, END)],)),
    ("list_refinements", (END - 500, SIZE, MOST)),
    ("list_refinements_by_author", (END - 500, SIZE, MOST, AUTHOR)),
    ("branch_by_name", ("dev/7",)),
    ("branch_chain", ("dev/7", MOST)),
    ("list_branches", ("dev/", "dev/\x7f", "dev/5", SIZE)),
    ("last_position", ()),
]
"""Queries, with arguments that request at most this many rows."""

EACH, BESIDE = 20, 50
"""Buffers of a row, found by a few indexes of a few levels each, and of all else."""


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    with asyncio.Runner() as runner:
        runner.run(
            execute(
                postgres.url("postgres"), (f"create database {NAME} template {template} strategy file_copy",)
            )
        )
        runner.run(execute(postgres.url(NAME), (POPULATE, OTHERS, MANY, AUTHOR), (BRANCHES,), ("analyze",)))
        yield postgres.url(NAME)
        runner.run(execute(postgres.url("postgres"), (f"drop database {NAME} with (force)",)))


@pytest.fixture(params=["1.1", "4"])
async def connection(url: str, request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """With two costs of reading here and there: of a good disk, and what PostgreSQL assumes."""
    settings = {"plan_cache_mode": "force_generic_plan", "random_page_cost": request.param, "jit": "off"}
    connection = await asyncpg.connect(url, server_settings=settings)
    yield connection
    await connection.close()


async def explained(
    connection: asyncpg.Connection, sql: str, arguments: tuple[object, ...]
) -> dict[str, Any]:
    (row,) = await connection.fetch(f"explain (analyze, buffers, format json) {sql}", *arguments)
    plan: dict[str, Any] = json.loads(row[0])[0]["Plan"]
    return plan


@pytest.mark.parametrize(("name", "arguments"), PAGES, ids=[name for name, _ in PAGES])
async def test_a_page_reads_as_many_buffers_as_it_has_rows_and_not_as_the_ledger_has(
    connection: asyncpg.Connection, name: str, arguments: tuple[object, ...]
) -> None:
    plan = await explained(connection, QUERIES[name], arguments)
    buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert plan["Actual Rows"] <= SIZE
    assert buffers <= BESIDE + EACH * SIZE, json.dumps(plan, indent=1)


async def test_every_query_of_these_files_is_among_them() -> None:
    from importlib.resources import files

    from refinery_core.postgres.queries import parse

    folder = files("refinery_core.postgres") / "queries"
    texts = {name: (folder / name).read_text() for name in ("vibes.sql", "refinements.sql", "branches.sql")}
    names = {name for file, text in texts.items() for name, _ in parse(file, text)}
    assert names - {name for name, _ in PAGES} == {"refine", "forecast", "notify", "ahead"}
