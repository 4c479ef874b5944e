from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from cases.composition import CASES, Case
from cases.oracle import accepts_sources
from jsonschema.validators import validator_for

from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.references import RESOLVED, pin, read_schema, schema_at

INSERT = """
insert into refinery.vibes (ref, id, branches, revision, type, author_ref, refinement_id, position, ordinal,
                            schema, schema_refs, content_digest, digest)
select r, split_part(split_part(r, '@', 2), '?', 1), array[split_part(r, '@', 1)],
       split_part(r, '?', 2)::integer,
       'RECORD', 'main@system/genesis?1', gen_random_uuid(), 1000, n - 1, s::jsonb, '{}',
       sha256('content'), sha256(convert_to(r, 'UTF8'))
from unnest($1::text[], $2::text[]) with ordinality as v (r, s, n)
"""


@dataclass(frozen=True)
class Composed:
    bundle: str
    bundle_from_extra: str
    embedded: str
    embedded_again: str
    embedded_from_extra: str
    dependencies: list[str]
    pins: dict[str, list[tuple[str, str]]]


class Store:
    """A database of its own, in which each set of Vibes is forgotten again."""

    def __init__(self, url: str) -> None:
        self.composed: dict[str, Composed] = {}
        self._runner = asyncio.Runner()
        self._url = url
        self._connection: asyncpg.Connection | None = None

    def ask(self, vibes: dict[str, Any], *questions: tuple[str, tuple[Any, ...]]) -> list[Any]:
        return self._runner.run(self._ask(vibes, questions))

    async def _ask(
        self, vibes: dict[str, Any], questions: tuple[tuple[str, tuple[Any, ...]], ...]
    ) -> list[Any]:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._url)
        connection = self._connection
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute("set local session_replication_role = replica")
            schemas = [None if schema is None else json.dumps(schema) for schema in vibes.values()]
            await connection.execute(INSERT, list(vibes), schemas)
            return [await connection.fetchval(sql, *arguments) for sql, arguments in questions]
        finally:
            await transaction.rollback()

    def close(self) -> None:
        if self._connection is not None:
            self._runner.run(self._connection.close())
        self._runner.close()


@pytest.fixture(scope="module")
def store(postgres: EmbeddedPostgres, template: str) -> Iterator[Store]:
    name = "test_composition"

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(postgres.url("postgres"))
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run(f"create database {name} template {template}"))
    store = Store(postgres.url(name))
    yield store
    store.close()
    asyncio.run(run(f"drop database {name}"))


def compose(store: Store, case: Case) -> Composed:
    stored = case.pinned
    root = json.dumps(stored[case.ref])
    extra = json.dumps({ref: schema for ref, schema in stored.items() if ref != case.ref})
    pins = (
        "select coalesce(jsonb_agg(jsonb_build_array(p.written, p.ref)), '[]')::text"
        " from refinery.schema_pins($1::text::jsonb) p"
    )
    first, *rest = store.ask(
        stored,
        ("select refinery.resolve_vibe_schema($1)::text", (case.ref,)),
        ("select refinery.bundle_vibe_schema($1)::text", (case.ref,)),
        ("select refinery.schema_dependencies($1::text::jsonb)", (root,)),
        *((pins, (json.dumps(schema),)) for schema in stored.values()),
    )
    bundle, dependencies, *found = rest
    again, embedded, bundled = store.ask(
        {},
        ("select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text", (first, extra)),
        ("select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text", (root, extra)),
        (
            "select refinery.bundle_schema($1::text::jsonb, $2, $3::text::jsonb)::text",
            (root, case.ref, extra),
        ),
    )
    return Composed(
        bundle, bundled, first, again, embedded, dependencies,
        {ref: [(w, r) for w, r in json.loads(rows)] for ref, rows in zip(stored, found, strict=True)},
    )  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
def composed(store: Store, case: Case) -> Composed:
    if case.name not in store.composed:
        store.composed[case.name] = compose(store, case)
    return store.composed[case.name]


def test_the_bundle_accepts_and_refuses_what_the_sources_do(case: Case, composed: Composed) -> None:
    bundle = json.loads(composed.bundle)
    ours = compile_schema(composed.bundle)
    theirs = validator_for(bundle)(bundle)
    for instance, expected in [(i, True) for i in case.accepts] + [(i, False) for i in case.refuses]:
        assert ours.is_valid(instance) is expected, instance
        if case.jsonschema:
            assert theirs.is_valid(instance) is expected, instance
        if case.jsonschema and case.sources:
            assert accepts_sources(case, instance) is expected, instance


def test_resolving_again_changes_nothing(case: Case, composed: Composed) -> None:
    assert composed.embedded_again == composed.embedded


def test_in_an_embedded_guest_every_reference_is_pinned(store: Store) -> None:
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#/$defs/x"}}, "$defs": {"x": True}}
    vibes = {"main@tree?1": tree, "main@r?1": {"items": {"$ref": "aug:/tree", RESOLVED: "main@tree?1"}}}
    [answer] = store.ask(vibes, ("select refinery.resolve_vibe_schema($1)::text", ("main@r?1",)))
    embedded = json.loads(answer)
    assert embedded["items"]["allOf"][0]["properties"] == {
        "left": {"$ref": "aug:main@tree?1", RESOLVED: "main@tree?1"},
        "right": {"$ref": "aug:main@tree?1#/$defs/x", RESOLVED: "main@tree?1"},
    }
    assert read_schema(embedded).unpinned == ()
    extra = json.dumps(vibes)
    again = ("select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text", (answer, extra))
    assert store.ask({}, again) == [answer]


def test_what_is_not_stored_yet_composes_the_same(case: Case, composed: Composed) -> None:
    assert composed.bundle_from_extra == composed.bundle
    assert composed.embedded_from_extra == composed.embedded


def test_both_walks_find_the_same_pins(case: Case, composed: Composed) -> None:
    for ref, schema in case.pinned.items():
        ours = [(found.written, found.pinned or "") for found in read_schema(schema).references]
        assert sorted(composed.pins[ref]) == sorted(ours)


def test_the_dependencies_are_those_that_the_pins_lead_to(case: Case, composed: Composed) -> None:
    stored, wanted = case.pinned, set[str]()
    todo = [case.ref]
    while todo:
        pins = {found.pinned for found in read_schema(stored[todo.pop()]).references if found.pinned}
        todo += pins - wanted
        wanted |= pins
    assert composed.dependencies == sorted(wanted)
    bundle = json.loads(composed.bundle)
    container = "definitions" if "draft-07" in bundle["$schema"] else "$defs"
    ids = {
        part["$id"] for part in bundle.get(container, {}).values() if isinstance(part, dict) and "$id" in part
    }
    assert {f"aug:{ref}" for ref in wanted} <= ids


def test_an_embedding_keeps_the_words_and_holds_every_guest(case: Case, composed: Composed) -> None:
    embedded = json.loads(composed.embedded)
    for found in read_schema(case.pinned[case.ref]).references:
        tokens = tuple(t.replace("~1", "/").replace("~0", "~") for t in found.pointer.split("/")[1:])
        referrer = schema_at(embedded, tokens)
        assert referrer is not None
        assert referrer[found.key] == found.written
        assert referrer[RESOLVED] == found.pinned
        assert len(referrer["allOf"]) >= 1


def chain(length: int) -> dict[str, Any]:
    vibes: dict[str, Any] = {"main@c/0?1": {"type": "integer"}}
    for number in range(1, length + 1):
        vibes[f"main@c/{number}?1"] = {"$ref": f"aug:/c/{number - 1}", RESOLVED: f"main@c/{number - 1}?1"}
    return vibes


def diamond(height: int) -> dict[str, Any]:
    vibes: dict[str, Any] = {"main@c/0?1": {"type": "integer"}}
    for number in range(1, height + 1):
        edge = {"$ref": f"aug:/c/{number - 1}", RESOLVED: f"main@c/{number - 1}?1"}
        vibes[f"main@c/{number}?1"] = {"properties": {"a": edge, "b": edge}}
    return vibes


FORMS = ["resolve_vibe_schema", "bundle_vibe_schema"]


def refusal(store: Store, vibes: dict[str, Any], form: str, ref: str) -> tuple[str, dict[str, str]]:
    with pytest.raises(asyncpg.PostgresError) as caught:
        store.ask(vibes, (f"select refinery.{form}($1)::text", (ref,)))
    assert caught.value.sqlstate == "RF000"
    detail = json.loads(caught.value.as_dict()["detail"])
    return detail["reason"], detail["metadata"]


@pytest.mark.parametrize("form", FORMS)
def test_32_levels_compose_and_33_are_refused(store: Store, form: str) -> None:
    [answer] = store.ask(chain(33), (f"select refinery.{form}($1)::text", ("main@c/32?1",)))
    assert "integer" in answer
    assert refusal(store, chain(33), form, "main@c/33?1") == (
        "RESOLUTION_TOO_DEEP", {"field": "schema", "limit": "32"},
    )  # fmt: skip


def test_a_diamond_that_would_embed_to_gigabytes_is_refused_and_bundles(store: Store) -> None:
    assert refusal(store, diamond(28), "resolve_vibe_schema", "main@c/28?1") == (
        "RESOLUTION_TOO_LARGE", {"field": "schema", "limit": "1048576"},
    )  # fmt: skip
    [bundle] = store.ask(diamond(28), ("select refinery.bundle_vibe_schema($1)::text", ("main@c/28?1",)))
    assert len(bundle) < 10_000


@pytest.mark.parametrize("form", FORMS)
def test_more_than_a_mebibyte_of_sources_is_refused(store: Store, form: str) -> None:
    vibes: dict[str, Any] = {f"main@big/{n}?1": {"description": "x" * 300_000} for n in range(4)}
    vibes["main@r?1"] = {"allOf": [{"$ref": f"aug:/big/{n}", RESOLVED: f"main@big/{n}?1"} for n in range(4)]}
    assert refusal(store, vibes, form, "main@r?1")[0] == "RESOLUTION_TOO_LARGE"


@pytest.mark.parametrize("form", FORMS)
def test_what_is_missing_is_named(store: Store, form: str) -> None:
    edge = {"$ref": "aug:/a", RESOLVED: "main@a?1"}
    part = {"$ref": "aug:/a#/$defs/x", RESOLVED: "main@a?1"}
    assert refusal(store, {"main@r?1": edge}, form, "main@r?1") == (
        "UNKNOWN_REFERENCE", {"field": "schema", "reference": "main@a?1"},
    )  # fmt: skip
    assert refusal(store, {"main@a?1": None, "main@r?1": edge}, form, "main@r?1") == (
        "SCHEMA_MISSING", {"ref": "main@a?1"},
    )  # fmt: skip
    assert refusal(store, {"main@a?1": {}, "main@r?1": part}, form, "main@r?1") == (
        "UNKNOWN_REFERENCE", {"field": "schema", "reference": "aug:main@a?1#/$defs/x"},
    )  # fmt: skip
    assert refusal(store, {"main@r?1": None}, form, "main@r?1") == ("SCHEMA_MISSING", {"ref": "main@r?1"})
    assert refusal(store, {}, form, "main@r?1") == ("VIBE_NOT_FOUND", {"reference": "main@r?1"})


def test_a_hypothetical_version_wins_over_the_stored_one(store: Store) -> None:
    vibes = {"main@a?1": {"type": "string"}, "main@r?1": {"$ref": "aug:/a", RESOLVED: "main@a?1"}}
    root, extra = json.dumps(vibes["main@r?1"]), json.dumps({"main@a?1": {"type": "integer"}})
    [bundle] = store.ask(
        vibes, ("select refinery.bundle_schema($1::text::jsonb, null, $2::text::jsonb)::text", (root, extra))
    )
    assert compile_schema(bundle).is_valid(1)
    assert not compile_schema(bundle).is_valid("x")
    assert json.loads(bundle)["$id"] == "aug:unstored"


def test_the_author_s_words_can_be_pinned_anew(store: Store) -> None:
    written = {"properties": {"a": {"$ref": "aug:/a"}, "b": {"$ref": "aug:/a?1"}}}
    pinned = pin(written, read_schema(written), {"aug:/a": "main@a?2", "aug:/a?1": "main@a?1"})
    vibes = {"main@a?1": {"type": "string"}, "main@a?2": {"type": "integer"}, "main@r?1": pinned}
    [bundle] = store.ask(vibes, ("select refinery.bundle_vibe_schema($1)::text", ("main@r?1",)))
    assert compile_schema(bundle).is_valid({"a": 1, "b": "x"})
    assert not compile_schema(bundle).is_valid({"a": "x"})
    assert not compile_schema(bundle).is_valid({"b": 1})
