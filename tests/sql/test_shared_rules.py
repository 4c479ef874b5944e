from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import KEYWORDS, MANY, NAMED, ONE, Dialect
from refinery_core.vibe.pointers import pointer_tokens, written


@pytest.fixture
async def connection(database: Any) -> Any:
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


async def test_both_tables_of_keywords_are_the_same(connection: asyncpg.Connection) -> None:
    data = {"const", "enum", "default", "examples", "$ref", "required", "type", "x", ""}
    rows = await connection.fetch(
        "select k, refinery.schema_keyword(k) as kind from unnest($1::text[]) k", [*KEYWORDS, *data]
    )
    for row in rows:
        ours = {
            "one": row["k"] in ONE and row["k"] not in MANY,
            "many": row["k"] in MANY and row["k"] not in ONE,
            "items": row["k"] in ONE & MANY,
            "named": row["k"] in NAMED,
            None: row["k"] in data,
        }
        assert [kind for kind, holds in ours.items() if holds] == [row["kind"]], row["k"]


async def test_both_resolve_addresses_alike(connection: asyncpg.Connection) -> None:
    words = random.Random(7)
    parts = [
        "a",
        "b.json",
        ".",
        "..",
        "/",
        "//",
        "h",
        "http:",
        "urn:x",
        "?q",
        "#f",
        "#/p/q",
        "",
        ";x",
        "./",
        "../",
    ]
    pairs = [
        (
            "".join(words.choices(parts, k=words.randrange(5))),
            "".join(words.choices(parts, k=words.randrange(5))),
        )
        for _ in range(3000)
    ]
    rows = await connection.fetch(
        "select r.absolute, r.fragment from unnest($1::text[], $2::text[]) with ordinality as p (b, a, n),"
        " lateral refinery.resolve_address(b, a) r order by n",
        [base for base, _ in pairs],
        [address for _, address in pairs],
    )
    for (base, address), row in zip(pairs, rows, strict=True):
        assert resolve_address(base, address) == (row["absolute"], row["fragment"]), (base, address)


async def test_both_read_pointers_alike(connection: asyncpg.Connection) -> None:
    for tokens in [(), ("a",), ("",), ("a/b", "c~d", "é%", "🙂 <x>"), ("~1", "%41"), ("0", "", "")]:
        pointer = written(tokens)
        for fragment in (
            quote(pointer),
            await connection.fetchval("select refinery.uri_pointer($1)", pointer),
        ):
            assert pointer_tokens(fragment) == tokens
            assert tuple(await connection.fetchval("select refinery.pointer_tokens($1)", fragment)) == tokens


async def test_both_know_the_dialects(connection: asyncpg.Connection) -> None:
    for dialect in Dialect:
        for spelling in {dialect.rstrip("#"), dialect.rstrip("#") + "#"}:
            sql = "select refinery.schema_dialect(jsonb_build_object('$schema', $1::text))"
            assert await connection.fetchval(sql, spelling) == dialect
            assert await connection.fetchval(sql, spelling.replace("http://", "https://")) == dialect
    assert await connection.fetchval("select refinery.schema_dialect('{}')") == Dialect.DRAFT_2020_12
    assert await connection.fetchval("select refinery.schema_dialect('true')") == Dialect.DRAFT_2020_12
