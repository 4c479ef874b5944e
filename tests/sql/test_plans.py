"""The rows that queries read: 20,000 Vibes stand for millions, because a generic plan ignores the number."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from hashlib import md5, sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from refinery_core.postgres.queries import QUERIES
from refinery_local.postgres import EmbeddedPostgres
from tests.sql.conftest import execute

BIG = {"refinements", "vibes", "vibe_refs", "vibe_branches"}
NAME = "test_plans"
AUTHOR = "main@system/genesis?1"
TYPES = ["RECORD", "ROLE", "PROCESS", "CAPABILITY"]
MOST = 2**63 - 1

POPULATE = """
with p as (select n, n + 100 as position, 'x/' || n % 2000 as id, 1 + (n - 1) / 2000 as revision,
                  case when n > 2000 then 'x/' || n % 2000 || '?' || (n - 1) / 2000 end as before
           from generate_series(1, 20000) n),
     r as (insert into refinery.refinements (id, position, request_id, request_digest, principal, time,
                                             author_ref, target_refs, instruction_refs, budget_refs, chain)
           select md5('i' || n)::uuid, position, md5('r' || n)::uuid, sha256('r'), 'test',
                  '2030-01-01'::timestamptz + n * interval '1 s', $1,
                  case when before is null then '{}' else array['main@' || before] end,
                  '{}', '{}', sha256('c')
           from p)
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            schema, solution, schema_refs, content_digest, digest)
select 'main@' || id || '?' || revision, id, '{main}', revision,
       case when n % 2000 = 7 then 'ROLE' else 'RECORD' end, $1, md5('i' || n)::uuid, position, 0,
       case when n % 4 = 0 and before is not null
            then jsonb_build_object('$ref', 'aug:/' || id, '$refResolved', 'main@' || before) else 'true' end,
       to_jsonb(n), '{}', sha256('c'), sha256(convert_to('d' || n, 'UTF8'))
from p order by n
"""
BRANCHES = """
insert into refinery.branches (name, parent, fork_position, ref)
select 'dev/' || n, 'main', 10000, 'main@x/1?1' from generate_series(1, 2000) n
"""

REQUEST = {
    "request_id": str(UUID(int=1)),
    "request_digest": "00" * 32,
    "principal": "test",
    "author": AUTHOR,
    "targets": [{"reference": "aug:/x/8", "branch": "main", "id": "x/8", "revision": None}],
    "instructions": [{"reference": "aug:/x/9?2", "branch": "dev/7", "id": "x/9", "revision": 2}],
    "budgets": ["main@x/10?3"],
    "pins": [{"branch": "main", "id": "x/12", "ref": "main@x/12?10"}],
    "drafts": [
        {
            "type": "RECORD",
            "id": "x/11",
            "branches": ["main", "dev/7"],
            "prototype_ref": "main@x/11?2",
            "inherits": ["solution"],
            "schema_pins": ["main@x/13?1"],
            "content_digest": "00" * 32,
        },
        {"type": "RECORD", "id": "new", "branches": ["main"], "content_digest": "00" * 32},
    ],
}

FIRST: dict[str, tuple[object, ...]] = {
    "ahead": (),
    "branch_by_name": ("dev/7",),
    "branch_chain": ("dev/7", MOST),
    "list_branches": ("dev/", "dev/\x7f", "dev/5", 11),
    "resolve_references": (["main", "dev/7", "main"], ["x/7", "x/7", "x/8"], [None, None, 3], MOST),
    "last_position": (),
    "highest_revisions": (["main", "dev/7"], ["x/7", "x/7"]),
    "branch_levels": (["main", "dev/7"],),
    "position_at_time": (datetime(2030, 1, 1, 1, tzinfo=UTC),),
    "refine": (json.dumps([REQUEST]), [None, None], [None, "true"], ["1", None], None, None),
    "fence": ("5000,6000",),
    "forecast": (json.dumps(REQUEST),),
    "refinement_by_id": (UUID(bytes=md5(b"i5").digest()),),
    "refinement_by_request_id": (UUID(bytes=md5(b"r5").digest()),),
    "refinement_by_position": (5_000,),
    "refinement_by_vibe": ("main@x/7?3",),
    "list_refinements": (5_000, 11, MOST),
    "list_refinements_by_author": (5_000, 11, MOST, AUTHOR),
    "vibes_by_name": (["main@x/7?3", "main@x/8?1", "main@nothing?1"],),
    "ref_by_digest": (sha256(b"d5").digest(),),
    "vibes_of_refinement": (5_000,),
    "list_vibes": (5_000, 0, 11, MOST),
    "list_vibes_of_type": (5_000, 0, 11, MOST, "RECORD"),
    "list_vibes_by_author": (5_000, 0, 11, MOST, AUTHOR, TYPES, []),
    "list_vibes_on_branch": (5_000, 0, 11, MOST, "main", TYPES),
    "list_vibes_under_prefix": ("x/7", 0, 0, 11, "x/\x7f", 0, MOST, TYPES, [], AUTHOR),
    "list_latest_vibes": ("x/5", 11, "x/", "x/\x7f", 0, MOST, TYPES, "main"),
    "list_revisions": ("main", "x/7", MOST, 2**31 - 1, 11),
    "watch_vibes": (5_000, 0, 11, MOST, [], "x/"),
    "edges_up": (["main@x/7?3"], 1, ["author", "target", "schema"], MOST, 100),
    "edges_down": (["main@x/7?3"], 1, ["author", "target", "schema"], MOST, 100),
    "refs_by_name": (["main@x/7?3", "main@x/8?1", "main@nothing?1"],),
    "vibes_by_ref": (["main@x/7?3", "main@x/8?1"],),
    "schema_digests": (["main@x/7?3", "main@x/8?3"],),
    "solutions": (["main@x/7?3", "main@x/8?3"],),
    "refinements_at": ([5_000, 5_001],),
    "about": (),
    "ledger_id": (),
    "direct_dependencies": ("main@x/8?3", "", 11),
    "transitive_dependencies": ("main@x/8?3", 0, "", 11),
    "direct_dependents": ("main@x/8?3", MOST, "", 11),
    "direct_dependents_of_id": ("x/8", MOST, "", 11, ["main"], [MOST]),
}
"""Arguments that ask for about ten rows, for the queries that answer calls."""

ROWS = 300
"""Ten rows of an answer come from some tables and indexes each, but never from all that there is."""


@pytest.fixture(scope="module")
def url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    with asyncio.Runner() as runner:
        runner.run(
            execute(
                postgres.url("postgres"), (f"create database {NAME} template {template} strategy file_copy",)
            )
        )
        runner.run(execute(postgres.url(NAME), (POPULATE, AUTHOR), (BRANCHES,), ("analyze",)))
        yield postgres.url(NAME)
        runner.run(execute(postgres.url("postgres"), (f"drop database {NAME} with (force)",)))


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={"plan_cache_mode": "force_generic_plan"})
    yield connection
    await connection.close()


def scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from one end to the other."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in BIG:
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scanned(part)


async def test_no_generic_plan_of_a_call_reads_a_big_table_from_end_to_end(
    connection: asyncpg.Connection,
) -> None:
    found = {}
    for name, sql in QUERIES.items():
        if name.startswith("verify_"):
            continue  # It reads everything, on purpose.
        count = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
        await connection.execute(f"prepare p_{name} as {sql}")
        arguments = f"({', '.join(['null'] * count)})" if count else ""
        plan = await connection.fetchval(f"explain (format json) execute p_{name}{arguments}")
        found[name] = {*scanned(json.loads(plan)[0]["Plan"])}
    assert len(found) > 30
    assert {name: tables for name, tables in found.items() if tables} == {}


READ = """
select relname, seq_scan, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows
from pg_stat_xact_user_tables where relname = any ($1)
"""


@pytest.mark.parametrize("name", FIRST)
async def test_a_page_is_answered_from_a_few_rows_also_by_the_functions_that_it_calls(
    connection: asyncpg.Connection, name: str
) -> None:
    async with connection.transaction():
        rows = await connection.fetch(QUERIES[name], *FIRST[name])
        read = await connection.fetch(READ, [*BIG, "branches"])
    assert 1 <= len(rows) <= 11 or name.startswith("edges")
    if name in ("refine", "forecast"):
        assert rows[0]["outcome"] == "committed"
    assert {row["relname"]: row["rows"] for row in read if row["rows"] > ROWS} == {}
    assert {row["relname"] for row in read if row["seq_scan"]} == set()


@pytest.mark.parametrize("seen", [[], [f"main@x/{number}?1" for number in range(2_000)]])
async def test_a_step_of_a_walk_reads_of_a_hub_no_more_edges_than_asked_for_whatever_is_left_out(
    connection: asyncpg.Connection, seen: list[str]
) -> None:
    limit = 50
    async with connection.transaction():
        known = [*seen, AUTHOR]
        rows = await connection.fetch(QUERIES["edges_down"], known, len(known), ["author"], MOST, limit)
        read = await connection.fetch(READ, BIG)
    assert {row["count"] for row in rows} == {limit}
    assert not {row["far"] for row in rows} & {*known}
    assert {row["relname"]: row["rows"] for row in read if row["rows"] > ROWS} == {}


async def test_a_step_of_a_walk_that_leaves_everything_out_still_says_how_much_it_read(
    connection: asyncpg.Connection,
) -> None:
    for query, known in (("edges_up", [AUTHOR, "main@x/7?1"]), ("edges_down", ["main@x/7?2", "main@x/7?1"])):
        for _ in range(2):
            (row,) = await connection.fetch(QUERIES[query], known, 2, ["author", "target"], MOST, 100)
            assert (row["far"], row["count"]) == (None, 1)


# --- Hubs -----------------------------------------------------------------------------------

HUB = """
with made as (
    insert into refinery.refinements (id, position, request_id, request_digest, principal, time,
                                      author_ref, target_refs, instruction_refs, budget_refs, chain)
    select md5('h' || n)::uuid, 100000 + n, md5('s' || n)::uuid, sha256('r'), 'test', '2031-01-01', $1, '{}', '{}', '{}', sha256('c')
    from generate_series(0, 50) n)
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            schema, schema_refs, content_digest, digest)
select 'main@' || id || '?' || revision, id, '{main}', revision, 'RECORD', $1, md5('h' || p)::uuid, 100000 + p, ordinal,
       case when id = 'hub' then 'true'
            else '{"$ref": "aug:/hub", "$refResolved": "main@hub?1"}'::jsonb end, '{}', sha256('c'), sha256(convert_to(id || revision, 'UTF8'))
from (
    select 'hub' as id, n + 1 as revision, 0 as p, n as ordinal from generate_series(0, 4999) n
    union all select 'many', n + 1, 1 + n / 200, n % 200 from generate_series(0, 4999) n
    union all select 'once/' || n, 1, 26 + n / 200, n % 200 from generate_series(0, 4999) n
) v
order by p, ordinal
"""
"""A hub of 5,000 versions; to its first refer 5,000 versions of one id, and 5,000 ids."""

MANY, ONCE = [f"main@many?{n}" for n in range(4_001, 5_001)], [f"main@once/{n}?1" for n in range(1_000)]
LINE = (["main"], [MOST])

AT_A_HUB: dict[str, tuple[str, int, tuple[object, ...]]] = {
    "all edges to an id": ("edges_to_id", 100, ("hub", MOST, "", "", 100)),
    "more edges to an id": ("edges_to_id", 100, ("hub", 100_010, "main@many?1900", "", 100)),
    "edges to a version": ("edges_to_ref", 100, ("main@hub?1", MOST, "", 100)),
    "edges to a version that few use": ("edges_to_ref", 100, ("main@hub?2", MOST, "", 100)),
    "edges to many, with few each": ("edges_to_some", 1_000, ([f"once/{n}" for n in range(1_000)], MANY[:100], MOST)),
    "standing of versions of one id": ("standing", 1_000, (MANY, ["many"] * 1_000, "main", MOST, 21)),
    "standing of as many ids": ("standing", 1_000, (ONCE, [f"once/{n}" for n in range(1_000)], "main", MOST, 21)),
    "edges to an id that few use": ("edges_to_id", 100, ("many", MOST, "", "", 100)),
    "standing of versions of the hub": ("standing", 100, ([f"main@hub?{n}" for n in range(4_901, 5_001)], ["hub"] * 100, "main", MOST, 21)),
    "direct dependents": ("direct_dependents", 100, ("main@hub?1", MOST, "", 100)),
    "more direct dependents": ("direct_dependents", 100, ("main@hub?1", MOST, "main@once/3000?1", 100)),
    "direct dependents of any version": ("direct_dependents_of_id", 100, ("hub", MOST, "", 100, *LINE)),
    "more direct dependents of any version": ("direct_dependents_of_id", 100, ("hub", MOST, "main@many?4000", 100, *LINE)),
    "some dependents of each": ("dependents_of_some", 1_000, (["main@hub?1", *ONCE, *MANY], MOST, 50)),
    "index of a range": ("verify_index", 200, (100_024, 100_025)),
    "numbers of a range": ("verify_numbers", 200, (100_024, 100_025)),
    "types of a range": ("verify_types", 200, (100_024, 100_025)),
    "Vibes by ref": ("vibes_by_ref", 1_000, (ONCE,)),
    "Vibes by name": ("vibes_by_name", 1_000, (ONCE,)),
    "refs by name": ("refs_by_name", 1_000, (ONCE,)),
    "digests of schemas": ("schema_digests", 1_000, (ONCE,)),
    "transitive dependencies": ("transitive_dependencies", 3, ("main@once/7?1", 0, "", 11)),
    "what many schemas are composed from": ("composing_schemas", 2_001, (ONCE, [], 1 << 24)),
    "what one schema is composed from": ("composing_schemas", 4, (ONCE[:1], [], 1 << 24)),
    "a schema with the refs of what it is composed from": ("resolved_schema", 4, (ONCE[0], False)),
    "lineage down": ("edges_down", 200, (["main@hub?1"], 1, ["schema", "author"], MOST, 200)),
    "lineage up": ("edges_up", 1_000, (ONCE, 1, ["schema", "author"], MOST, 1_000)),
}  # fmt: skip
"""A query, how many rows it looks at on purpose, and its arguments."""

PAGES_A_ROW = 12
"""Three looks into indexes of three levels, and their rows."""


@pytest.fixture(scope="module", params=["analyzed", "never analyzed"])
def hub(request: pytest.FixtureRequest, postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"{NAME}_hub"
    tables = [f"alter table refinery.{table} set (autovacuum_enabled = off)" for table in BIG]

    with asyncio.Runner() as runner:
        runner.run(
            execute(
                postgres.url("postgres"), (f"create database {name} template {template} strategy file_copy",)
            )
        )
        runner.run(
            execute(postgres.url(name), *[(sql,) for sql in tables], (POPULATE, AUTHOR), (HUB, AUTHOR))
        )
        if request.param == "analyzed":
            runner.run(execute(postgres.url(name), ("vacuum analyze",)))
        yield postgres.url(name)
        runner.run(execute(postgres.url("postgres"), (f"drop database {name} with (force)",)))


@pytest.mark.parametrize("mode", ["generic", "custom"])
@pytest.mark.parametrize("what", AT_A_HUB)
async def test_a_question_at_a_hub_reads_what_it_asks_for_and_not_what_there_is(
    hub: str, what: str, mode: str
) -> None:
    query, rows, arguments = AT_A_HUB[what]
    connection = await asyncpg.connect(hub, server_settings={"plan_cache_mode": f"force_{mode}_plan"})
    await connection.execute(f"prepare p as {QUERIES[query]}")
    given = await connection.fetchval(
        "select string_agg(format('%L', value), ', ') from jsonb_array_elements_text($1) value",
        json.dumps([_array(one) if isinstance(one, list) else one for one in arguments]),
    )
    await connection.execute(
        f"execute p({given})"
    )  # A connection looks up in the catalog once what it calls.
    told = await connection.fetchval(f"explain (analyze, buffers, format json) execute p({given})")
    await connection.close()
    plan = json.loads(told)[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= PAGES_A_ROW * rows, told
    assert plan["Temp Read Blocks"] == 0


def _array(values: list[Any]) -> str:
    return f"{{{','.join(json.dumps(value) for value in values)}}}"


@pytest.mark.parametrize("mode", ["generic", "custom"])
@pytest.mark.parametrize("query", ["edges_up", "edges_down"])
async def test_a_walk_looks_up_the_edges_of_each_vibe_by_themselves_however_many_go_on(
    hub: str, query: str, mode: str
) -> None:
    """A plan that compared each edge with a list of 50,000 Vibes took minutes, where statistics invited it."""
    near = "from_ref" if query == "edges_up" else "to_ref"
    connection = await asyncpg.connect(hub, server_settings={"plan_cache_mode": f"force_{mode}_plan"})
    await connection.execute(f"prepare p as {QUERIES[query]}")
    names = _array([f"main@nobody/{number}?1" for number in range(5_000)])
    told = await connection.fetchval(
        f"explain (format json) execute p('{names}', 1, '{{author,schema}}', {MOST}, 100000)"
    )
    await connection.close()
    looks = [node for node in _nodes(json.loads(told)[0]["Plan"]) if node.get("Relation Name") == "vibe_refs"]
    assert looks
    assert all(f"{near} = n.ref" in node["Index Cond"] for node in looks), told


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
