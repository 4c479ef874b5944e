from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.vibe import digests, documents
from refinery_core.vibe.numbers import MAX_INTEGER, MIN_INTEGER
from refinery_core.vibe.refs import Ref
from tests.support.ledger import Ledger, record
from tests.support.world import world

numbers = (
    st.integers(-(2**53) - 2, 2**53 + 2)
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | st.floats(-1e22, 1e22, allow_nan=False)
    | st.sampled_from([0.1, -0.0, 1e-60, 2.5e63, 1e21, 123456789012345680000.0, 5e-7, 1e-6, 2.0**63, 2.0**64])
)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
a_document = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
bounded = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def readable(value: Any) -> bool:
    try:
        documents.from_value(value)
    except documents.DocumentFault:
        return False
    return True


a_readable_document = a_document.filter(readable)


async def test_jsonb_and_back_gives_the_canonical_bytes_that_were_digested(ledger: Ledger) -> None:
    loop = asyncio.get_running_loop()
    connection = await asyncpg.connect(ledger.database.app_url)

    async def through(texts: list[str]) -> list[str]:
        rows = await connection.fetch("select t::jsonb::text from unnest($1::text[]) t", texts)
        return [row[0] for row in rows]

    @bounded
    @given(st.lists(a_readable_document, min_size=1, max_size=20))
    def check(values: list[Any]) -> None:
        canonical = [documents.from_value(value).text for value in values]
        stored = asyncio.run_coroutine_threadsafe(through(canonical), loop).result(30)
        assert [documents.restore(one).text for one in stored] == canonical

    try:
        await asyncio.to_thread(check)
    finally:
        await connection.close()


async def test_what_is_answered_can_be_sent_again_and_has_the_digest_it_had(
    ledger: Ledger,
) -> None:
    loop = asyncio.get_running_loop()

    async def through(values: list[Any]) -> None:
        drafts = [record(f"x/{number}", solution=value) for number, value in enumerate(values)]
        refined = await ledger.refine(*drafts)
        refs = [vibe.ref for vibe in refined.vibes]
        for value, ref, made in zip(values, refs, refined.vibes, strict=True):
            answer = await ledger.stub.GetVibe(pb.GetVibeRequest(reference=ref))
            again = documents.parse(answer.vibe.solution.json).text
            assert again == documents.from_value(value).text
            digest = digests.content_digest(None, None, again)
            assert digest == made.content_digest == answer.vibe.content_digest

    @bounded
    @given(st.lists(a_readable_document, min_size=1, max_size=10))
    def check(values: list[Any]) -> None:
        asyncio.run_coroutine_threadsafe(through(values), loop).result(30)

    await asyncio.to_thread(check)


@pytest.fixture
async def rows(ledger: Ledger) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    await world(ledger)
    vibes = await ledger.rows(
        "select ref, id, branches, revision, type, author_ref, prototype_ref, position, context::text,"
        " schema::text, solution::text, schema_refs, content_digest, digest"
        " from refinery.vibes order by position, ordinal"
    )
    return vibes, await ledger.rows("select * from refinery.refinements order by position")


def canonical(stored: str | None) -> str | None:
    return None if stored is None else documents.restore(stored).text


def pins_of(schema: Any) -> list[tuple[str, str]]:
    """Every object with `$refResolved` in a schema; these schemas have none in data."""
    if isinstance(schema, dict):
        own = [(schema["$ref"], schema["$refResolved"])] if "$refResolved" in schema else []
        return own + [pin for part in schema.values() for pin in pins_of(part)]
    return [pin for part in schema for pin in pins_of(part)] if isinstance(schema, list) else []


async def test_digests_and_chain_are_what_python_says_of_the_rows(
    ledger: Ledger,
    rows: tuple[list[asyncpg.Record], list[asyncpg.Record]],
) -> None:
    vibes, refinements = rows
    made = {one["position"]: one for one in refinements}
    known: dict[str, bytes] = {}
    for vibe in vibes:
        inputs = made[vibe["position"]]
        parts = [canonical(vibe[part]) for part in ("context", "schema", "solution")]
        assert digests.content_digest(*parts) == vibe["content_digest"]
        pins = pins_of(json.loads(vibe["schema"] or "null"))
        referred = {vibe["author_ref"], *(ref for _, ref in pins)} | {vibe["prototype_ref"]} - {None}
        for name in ("target_refs", "instruction_refs", "budget_refs"):
            referred |= {*inputs[name]}
        digest = digests.vibe_digest(
            type=vibe["type"],
            ref=vibe["ref"],
            branches=vibe["branches"],
            author_ref=vibe["author_ref"],
            prototype_ref=vibe["prototype_ref"],
            target_refs=inputs["target_refs"],
            instruction_refs=inputs["instruction_refs"],
            budget_refs=inputs["budget_refs"],
            content_digest=vibe["content_digest"],
            referred={ref: known[ref] for ref in referred - {vibe["ref"]}},
        )
        assert digest == vibe["digest"], vibe["ref"]
        known[vibe["ref"]] = digest
        assert vibe["ref"] == str(Ref(vibe["branches"][0], vibe["id"], vibe["revision"]))
        assert vibe["schema_refs"] == sorted({written for written, _ in pins})

    about = await ledger.refinery.get_ledger()
    chain = digests.origin(about.ledger_id)
    assert about.origin == chain
    for position, one in enumerate(refinements, 1):
        chain = digests.chain(
            previous=chain,
            position=position,
            time_us=digests.time_us(one["time"]),
            principal=one["principal"],
            request_id=one["request_id"],
            request_digest=one["request_digest"],
            digests=[vibe["digest"] for vibe in vibes if vibe["position"] == position],
        )
        assert (one["position"], one["chain"]) == (position, chain)
        assert one["id"] == digests.refinement_id(one["request_id"])
    assert all(before["time"] <= after["time"] for before, after in pairwise(refinements))
    assert (about.position, about.chain) == (len(refinements), chain)


async def test_edges_are_what_the_rows_refer_to(
    ledger: Ledger, rows: tuple[list[asyncpg.Record], list[asyncpg.Record]]
) -> None:
    vibes, refinements = rows
    made = {one["position"]: one for one in refinements}
    expected: dict[tuple[str, str, str], bool] = {}
    for vibe in vibes:
        inputs = made[vibe["position"]]
        expected[vibe["ref"], vibe["author_ref"], "author"] = False
        if vibe["prototype_ref"]:
            expected[vibe["ref"], vibe["prototype_ref"], "prototype"] = False
        for kind in ("target", "instruction", "budget"):
            expected |= {(vibe["ref"], to, kind): False for to in inputs[f"{kind}_refs"]}
        for written, to in pins_of(json.loads(vibe["schema"] or "null")):
            edge = (vibe["ref"], to, "schema")
            expected[edge] = expected.get(edge, False) or "?" not in written
    stored = await ledger.rows("select from_ref, to_ref, type, floating from refinery.vibe_refs")
    assert {(one["from_ref"], one["to_ref"], one["type"]): one["floating"] for one in stored} == expected
