from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema.validators import validator_for

from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.keywords import KEYWORDS, members
from refinery_core.vibe.references import REF, RESOLVED, read_schema, schema_at
from tests.cases.composition import CASES, Case
from tests.support.composing import bundle
from tests.support.composing import compose as compose_pinned
from tests.support.oracle import accepts_sources
from tests.support.store import Store


@dataclass(frozen=True)
class Composed:
    bundle: str
    embedded: str
    embedded_again: str
    embedded_from_extra: str
    dependencies: list[str]
    pins: dict[str, list[tuple[str, str]]]


_composed: dict[str, Composed] = {}


def compose(store: Store, case: Case) -> Composed:
    stored = case.pinned
    root = json.dumps(stored[case.ref])
    extra = json.dumps({ref: schema for ref, schema in stored.items() if ref != case.ref})
    pins = (
        "select coalesce(jsonb_agg(jsonb_build_array(p.written, p.ref)), '[]')::text"
        " from refinery.schema_pins($1::text::jsonb) p"
    )
    first, *found = store.ask(
        stored,
        ("select refinery.resolve_vibe_schema($1)::text", (case.ref,)),
        *((pins, (json.dumps(schema),)) for schema in stored.values()),
    )
    embed = "select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text"
    again, embedded = store.ask({}, (embed, (first, extra)), (embed, (root, extra)))
    return Composed(
        bundle(stored), first, again, embedded, sorted(compose_pinned(stored).guests),
        {ref: [(w, r) for w, r in json.loads(rows)] for ref, rows in zip(stored, found, strict=True)},
    )  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
def composed(store: Store, case: Case) -> Composed:
    if case.name not in _composed:
        _composed[case.name] = compose(store, case)
    return _composed[case.name]


def test_the_bundle_accepts_and_refuses_what_the_sources_do(case: Case, composed: Composed) -> None:
    compound = json.loads(composed.bundle)
    ours = compile_schema(composed.bundle)
    theirs = validator_for(compound)(compound)
    for instance, expected in [(i, True) for i in case.accepts] + [(i, False) for i in case.refuses]:
        assert ours.is_valid(instance) is expected, instance
        if case.jsonschema:
            assert theirs.is_valid(instance) is expected, instance
        if case.jsonschema and case.sources:
            assert accepts_sources(case, instance) is expected, instance


def test_resolving_again_changes_nothing(case: Case, composed: Composed) -> None:
    assert composed.embedded_again == composed.embedded


def test_in_an_embedded_guest_names_become_pointers(store: Store) -> None:
    guest = {
        "$id": "https://example.org/g",
        "allOf": [{"$ref": "#num"}, {"$ref": "n#far"}, {"$ref": "g"}, {"$ref": "n#/$defs/b~1c"}],
        "$defs": {
            "x": {"$anchor": "num"},
            "n": {"$id": "n", "$defs": {"b/c": {"$anchor": "far", "not": {"$ref": "#/$defs/b~1c"}}}},
        },
    }
    vibes = {"main@g?1": guest, "main@r?1": {"$ref": "aug:/g", RESOLVED: "main@g?1"}}
    [answer] = store.ask(vibes, ("select refinery.resolve_vibe_schema($1)::text", ("main@r?1",)))
    places = ["#/$defs/x", "#/$defs/n/$defs/b~1c", "", "#/$defs/n/$defs/b~1c"]
    [embedded] = json.loads(answer)["allOf"]
    assert embedded["allOf"] == [{"$ref": f"aug:main@g?1{place}", RESOLVED: "main@g?1"} for place in places]
    inner = embedded["$defs"]["n"]["$defs"]["b/c"]["not"]
    assert inner == {"$ref": "aug:main@g?1#/$defs/n/$defs/b~1c", RESOLVED: "main@g?1"}


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
    compound = json.loads(composed.bundle)
    container = "definitions" if "draft-07" in compound["$schema"] else "$defs"
    ids = {
        part["$id"]
        for part in compound.get(container, {}).values()
        if isinstance(part, dict) and "$id" in part
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
        assert all(_leads_to_a_vibe(ref) for ref in _refs(referrer["allOf"][-1]))


def _refs(schema: Any) -> list[str]:
    if not isinstance(schema, dict):
        return []
    own = [schema[REF]] if isinstance(schema.get(REF), str) else []
    parts = [
        part for key in KEYWORDS & schema.keys() for _, part, stands in members(key, schema[key]) if stands
    ]
    return own + [ref for part in parts for ref in _refs(part)]


def _leads_to_a_vibe(ref: str) -> bool:
    return ref.startswith(("aug:", "http://json-schema.org/", "https://json-schema.org/"))
