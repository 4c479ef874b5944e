"""Composing stored and unstored schemas: the same refusals, one read, one compilation."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from refinery_core.errors import (
    InvalidSchema,
    RefineryError,
    ResolutionTooDeep,
    ResolutionTooLarge,
    SchemaMissing,
    UnknownReference,
)
from refinery_core.postgres.database import Database as Ledger
from refinery_core.postgres.pool import open_pool
from refinery_core.schema.bundle import UNSTORED
from refinery_core.schema.composition import bundled_text
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe import documents
from refinery_core.vibe.references import RESOLVED
from tests.cases import large
from tests.conftest import Database
from tests.support.store import INSERT

EDGES = """
insert into refinery.vibe_refs (from_ref, to_ref, type, branch, from_id, from_revision, to_id, to_revision,
                                position, floating)
select v.ref, p.ref, 'schema', 'main', v.id, v.revision, split_part(split_part(p.ref, '@', 2), '?', 1),
       split_part(p.ref, '?', 2)::integer, v.position, true
from refinery.vibes v, lateral (select distinct q.ref from refinery.schema_pins(v.schema) q) p
"""


class Counted(Ledger):
    """A ledger that counts its queries."""

    asked = 0

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        self.asked += 1
        return await super().fetch(query, *arguments)


def text(schema: Any) -> str:
    return documents.from_value(schema).text


def edge(id_: str, fragment: str = "") -> dict[str, str]:
    return {"$ref": f"aug:/{id_}{fragment}", RESOLVED: f"main@{id_}?1"}


def chain(length: int) -> dict[str, Any]:
    links = {f"main@c/{number}?1": edge(f"c/{number - 1}") for number in range(1, length + 1)}
    return {"main@c/0?1": {"type": "integer"}, **links}


def diamond(height: int) -> dict[str, Any]:
    vibes: dict[str, Any] = {"main@c/0?1": {"type": "integer"}}
    for number in range(1, height + 1):
        below = edge(f"c/{number - 1}")
        vibes[f"main@c/{number}?1"] = {"properties": {"a": below, "b": below}}
    return vibes


@asynccontextmanager
async def composing(database: Database, vibes: Mapping[str, Any]) -> AsyncIterator[Composer]:
    """A composer on a ledger that holds these."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("set session_replication_role = replica")
    await owner.execute(INSERT, list(vibes), [None if v is None else json.dumps(v) for v in vibes.values()])
    await owner.execute(EDGES)
    await owner.close()
    async with await open_pool(database.reader_url, application_name="refinery-resolver", max_size=2) as pool:
        yield Composer(Vibes(Counted(pool)))


def asked(composer: Composer) -> int:
    ledger = composer.vibes.database
    assert isinstance(ledger, Counted)
    return ledger.asked


@pytest.fixture(params=["stored", "not stored"])
def is_stored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "stored")


async def bundle(database: Database, vibes: Mapping[str, Any], *, is_stored: bool) -> str:
    """That of the last, whose guests are stored, or are not."""
    *guests, root = vibes
    extra = {} if is_stored else {ref: text(vibes[ref]) for ref in guests}
    async with composing(database, vibes if is_stored else {}) as composer:
        composed = await composer.sources.compose(text(vibes[root]), extra)
        return bundled_text(composed.root, UNSTORED, composed.guests)


async def test_32_levels_compose(database: Database, is_stored: bool) -> None:
    assert "integer" in await bundle(database, chain(32), is_stored=is_stored)


async def test_33_levels_are_refused(database: Database, is_stored: bool) -> None:
    with pytest.raises(ResolutionTooDeep) as refused:
        await bundle(database, chain(33), is_stored=is_stored)
    assert refused.value.metadata == {"field": "schema", "limit": "32"}


async def test_33_levels_beside_a_short_way_are_refused(database: Database, is_stored: bool) -> None:
    vibes = chain(33)
    vibes["main@r?1"] = {"allOf": [edge("c/32"), edge("c/0"), edge("c/16")]}
    with pytest.raises(ResolutionTooDeep):
        await bundle(database, vibes, is_stored=is_stored)


async def test_a_diamond_bundles_small(database: Database, is_stored: bool) -> None:
    assert len(await bundle(database, diamond(28), is_stored=is_stored)) < 10_000


async def test_more_than_a_mebibyte_of_sources_is_refused(database: Database, is_stored: bool) -> None:
    vibes: dict[str, Any] = {f"main@big/{n}?1": {"description": "x" * 300_000} for n in range(4)}
    vibes["main@r?1"] = {"allOf": [edge(f"big/{n}") for n in range(4)]}
    with pytest.raises(ResolutionTooLarge) as refused:
        await bundle(database, vibes, is_stored=is_stored)
    assert refused.value.metadata == {"field": "schema", "limit": "1048576"}


async def test_a_mebibyte_is_counted_in_bytes(database: Database, is_stored: bool) -> None:
    vibes: dict[str, Any] = {f"main@big/{n}?1": {"description": "€" * 140_000} for n in range(3)}
    vibes["main@r?1"] = {"allOf": [edge(f"big/{n}") for n in range(3)]}
    with pytest.raises(ResolutionTooLarge):
        await bundle(database, vibes, is_stored=is_stored)


MISSING: dict[str, tuple[dict[str, Any], RefineryError]] = {
    "a Vibe": (
        {"main@r?1": edge("a")},
        UnknownReference(field="schema", reference="main@a?1"),
    ),
    "a Vibe behind another": (
        {"main@b?1": edge("a"), "main@r?1": edge("b")},
        UnknownReference(field="schema", reference="main@a?1"),
    ),
    "a part": (
        {"main@a?1": {}, "main@r?1": edge("a", "#/$defs/x")},
        UnknownReference(field="schema", reference="aug:main@a?1#/$defs/x"),
    ),
    "a part that is no schema": (
        {"main@a?1": {"const": {"x": {}}}, "main@r?1": edge("a", "#/const/x")},
        UnknownReference(field="schema", reference="aug:main@a?1#/const/x"),
    ),
}


@pytest.mark.parametrize("what", MISSING)
async def test_what_is_missing_is_named(database: Database, is_stored: bool, what: str) -> None:
    vibes, expected = MISSING[what]
    with pytest.raises(type(expected)) as refused:
        await bundle(database, vibes, is_stored=is_stored)
    assert refused.value.metadata == expected.metadata


async def test_a_vibe_without_schema_is_named(database: Database) -> None:
    vibes = {"main@a?1": None, "main@b?1": edge("a"), "main@r?1": edge("b")}
    with pytest.raises(SchemaMissing) as refused:
        await bundle(database, vibes, is_stored=True)
    assert refused.value.metadata == {"ref": "main@a?1"}


async def test_a_hypothetical_version_wins_over_the_stored_one(database: Database) -> None:
    vibes = {"main@a?1": {"type": "string"}, "main@b?1": edge("a")}
    root, extra = text(edge("b")), {"main@a?1": text({"type": "integer"})}
    async with composing(database, vibes) as composer:
        stored = await composer.validator(root, field="schema")
        hypothetical = await composer.validator(root, field="schema", extra=extra)
        assert await composer.validator(root, field="schema") is stored
    assert stored.is_valid("x")
    assert not stored.is_valid(1)
    assert hypothetical.is_valid(1)
    assert not hypothetical.is_valid("x")


async def test_one_read_gives_all_that_a_schema_is_composed_from(database: Database) -> None:
    async with composing(database, chain(32)) as composer:
        root = text(edge("c/31"))
        await composer.validator(root, field="schema")
        assert asked(composer) == 1
        assert len((await composer.sources.compose(root, {})).guests) == 32
        assert asked(composer) == 1


async def test_what_is_not_stored_is_compiled_once_by_what_it_says(database: Database) -> None:
    async with composing(database, {}) as composer:
        extra = {"main@a?1": text({"type": "string"})}
        first = await composer.validator(text(edge("a")), field="schema", extra=extra)
        extra["main@b?1"] = text({"type": "object"})
        assert await composer.validator(text(edge("a")), field="schema", extra=extra) is first
        again = {"main@a?1": text({"type": "integer"})}
        other = await composer.validator(text(edge("a")), field="schema", extra=again)
        assert (other.is_valid(1), other.is_valid("x")) == (True, False)
        assert asked(composer) == 0


async def test_beside_what_is_foretold_a_stored_schema_is_not_compiled_again(database: Database) -> None:
    async with composing(database, {"main@a?1": {"type": "string"}}) as composer:
        alone = await composer.validator(text(edge("a")), field="schema")
        extra = {"main@b?1": text({"type": "object"})}
        assert await composer.validator(text(edge("a")), field="schema", extra=extra) is alone


async def test_who_needs_a_large_validator_at_the_same_time_gets_the_same(database: Database) -> None:
    vibes = {"main@large?1": large.definitions(300_000, dense=True)}
    root = text(edge("large", "#/$defs/kind1"))
    async with composing(database, vibes) as composer:
        needing = [asyncio.create_task(composer.validator(root, field=f"drafts[{n}]")) for n in range(3)]
        needing.append(asyncio.create_task(composer.validator(root, field="gone")))
        while not composer._validators._making:
            await asyncio.sleep(0)
        needing.pop().cancel()
        first, *others = await asyncio.gather(*needing)
        assert all(other is first for other in others)
        assert not composer._validators._making


async def test_each_who_waits_for_a_faulty_schema_is_told_of_its_own_field(database: Database) -> None:
    schema = text({"allOf": [{"pattern": "(?=a)"}], "description": "x" * 100_000})
    async with composing(database, {}) as composer:
        needing = [composer.validator(schema, field=f"drafts[{n}].schema") for n in range(3)]
        refused = await asyncio.gather(*needing, return_exceptions=True)
    assert [each.metadata["field"] for each in refused if isinstance(each, InvalidSchema)] == [
        f"drafts[{n}].schema" for n in range(3)
    ]


async def test_dependents_of_one_large_schema_share_it(database: Database) -> None:
    vibes = {"main@large?1": large.definitions(300_000, dense=True)}
    async with composing(database, vibes) as composer:
        dependents = large.dependents(3, "main@large?1").values()
        found = [await composer.validator(text(schema), field="schema") for schema in dependents]
        assert asked(composer) == 1
    assert len({id(validator._shared.plain) for validator in found}) == 1
    for number, validator in enumerate(found):
        assert validator.is_valid({"part": {"kind": f"kind{number}"}})
        assert not validator.is_valid({"part": {"kind": "no such kind"}})


async def chained(count: int) -> float:
    """The CPU seconds that drafts take of which each refers to the one before, 31 levels at most."""
    composer = Composer(Vibes(cast("Ledger", None)))  # Nothing of this is stored, and nothing is asked.
    extra: dict[str, str] = {}
    begin = time.process_time()
    for number in range(count):
        below = edge(f"c/{number - 1}") if number % 31 else {"type": "object"}
        schema = text({**below, "title": f"draft {number}"})
        validator = await composer.validator(schema, field="schema", extra=extra)
        assert await composer.violations(validator, "{}", 1) == ()
        extra[f"main@c/{number}?1"] = schema
    return time.process_time() - begin


async def test_a_draft_costs_the_same_however_many_came_before_it() -> None:
    few, more = min([await chained(100) for _ in range(3)]), min([await chained(400) for _ in range(3)])
    assert more < 8 * few


async def test_a_large_schema_is_compiled_beside_the_event_loop(database: Database) -> None:
    vibes = {"main@large?1": large.definitions(900_000, dense=True)}
    longest, stopped = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not stopped.is_set():
            begin = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - begin)

    async with composing(database, vibes) as composer:
        watching = asyncio.create_task(watch())
        root = text(edge("large", "#/$defs/kind7"))
        begin = time.process_time()
        validator = await composer.validator(root, field="schema")
        await composer.violations(validator, '{"kind": "kind7"}', 1)
        whole = time.process_time() - begin
        stopped.set()
        await watching
    assert longest < whole / 4
