from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.references import RESOLVED, read_schema
from tests.cases.large import cyclonedx, many_guests
from tests.support.composing import bundle
from tests.support.store import Store


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


def refusal(store: Store, vibes: dict[str, Any], ref: str) -> tuple[str, dict[str, str]]:
    with pytest.raises(asyncpg.PostgresError) as caught:
        store.ask(vibes, ("select refinery.resolve_vibe_schema($1)::text", (ref,)))
    assert caught.value.sqlstate == "RF000"
    detail = json.loads(caught.value.as_dict()["detail"])
    return detail["reason"], detail["metadata"]


def test_32_levels_compose_and_33_are_refused(store: Store) -> None:
    [answer] = store.ask(chain(33), ("select refinery.resolve_vibe_schema($1)::text", ("main@c/32?1",)))
    assert "integer" in answer
    assert refusal(store, chain(33), "main@c/33?1") == (
        "RESOLUTION_TOO_DEEP", {"field": "schema", "limit": "32"},
    )  # fmt: skip


def test_a_diamond_that_would_embed_to_gigabytes_is_refused(store: Store) -> None:
    assert refusal(store, diamond(28), "main@c/28?1") == (
        "RESOLUTION_TOO_LARGE", {"field": "schema", "limit": "1048576"},
    )  # fmt: skip


def test_more_than_a_mebibyte_of_sources_is_refused(store: Store) -> None:
    vibes: dict[str, Any] = {f"main@big/{n}?1": {"description": "x" * 300_000} for n in range(4)}
    vibes["main@r?1"] = {"allOf": [{"$ref": f"aug:/big/{n}", RESOLVED: f"main@big/{n}?1"} for n in range(4)]}
    assert refusal(store, vibes, "main@r?1")[0] == "RESOLUTION_TOO_LARGE"


def test_what_is_missing_is_named(store: Store) -> None:
    edge = {"$ref": "aug:/a", RESOLVED: "main@a?1"}
    part = {"$ref": "aug:/a#/$defs/x", RESOLVED: "main@a?1"}
    assert refusal(store, {"main@r?1": edge}, "main@r?1") == (
        "UNKNOWN_REFERENCE", {"field": "schema", "reference": "main@a?1"},
    )  # fmt: skip
    assert refusal(store, {"main@a?1": None, "main@r?1": edge}, "main@r?1") == (
        "SCHEMA_MISSING", {"ref": "main@a?1"},
    )  # fmt: skip
    assert refusal(store, {"main@a?1": {}, "main@r?1": part}, "main@r?1") == (
        "UNKNOWN_REFERENCE", {"field": "schema", "reference": "aug:main@a?1#/$defs/x"},
    )  # fmt: skip
    assert refusal(store, {"main@r?1": None}, "main@r?1") == ("SCHEMA_MISSING", {"ref": "main@r?1"})
    assert refusal(store, {}, "main@r?1") == ("VIBE_NOT_FOUND", {"reference": "main@r?1"})


def test_a_hypothetical_version_wins_over_the_stored_one(store: Store) -> None:
    vibes = {"main@a?1": {"type": "string"}, "main@r?1": {"$ref": "aug:/a", RESOLVED: "main@a?1"}}
    root, extra = json.dumps(vibes["main@r?1"]), json.dumps({"main@a?1": {"type": "integer"}})
    [embedded] = store.ask(
        vibes, ("select refinery.embed_schema($1::text::jsonb, $2::text::jsonb)::text", (root, extra))
    )
    assert json.loads(embedded)["allOf"] == [{"type": "integer"}]


@pytest.mark.parametrize("version", ["1.6", "1.7"])
def test_the_real_cyclonedx_schemas_compose(store: Store, version: str) -> None:
    vibes = cyclonedx(version)
    [embedded] = store.ask(vibes, ("select refinery.resolve_vibe_schema($1)::text", ("main@sbom?1",)))
    part = {"type": "file", "name": "b"}
    component = {
        "type": "library",
        "name": "a",
        "licenses": [{"license": {"id": "MIT"}}],
        "components": [part],
    }
    sbom: dict[str, Any] = {"bomFormat": "CycloneDX", "specVersion": version, "components": [component]}
    validator = compile_schema(bundle(vibes))
    assert validator.violations(sbom, 20) == ()
    component["licenses"] = [{"license": {"id": "no such license"}}]
    part["type"] = "no such type"
    sbom["signature"] = {"algorithm": 7}
    paths = [violation.instance_path for violation in validator.violations(sbom, 20)]
    for path in ("/components/0/licenses", "/components/0/components/0/type", "/signature"):
        assert any(found.startswith(path) for found in paths), path
    assert read_schema(json.loads(embedded)).unpinned == ()


def chains(count: int) -> dict[str, Any]:
    """So many guests in chains of 16 levels, and one over all of them."""
    vibes: dict[str, Any] = {}
    for number in range(count):
        below = number - count // 16
        edge = {"$ref": f"aug:/c/{below}", RESOLVED: f"main@c/{below}?1"}
        vibes[f"main@c/{number}?1"] = {"minLength": number} if below < 0 else {"not": edge}
    parts = [{"$ref": f"aug:/c/{number}", RESOLVED: f"main@c/{number}?1"} for number in range(count)]
    return {**vibes, "main@r?1": {"anyOf": parts}}


GROWTH = {
    "of all": ("select count(*) from refinery.schema_closure($1::text::jsonb)", chains, 1000),
    "embedded": ("select length(refinery.embed_schema($1::text::jsonb)::text)", many_guests, 1500),
}


@pytest.mark.parametrize("what", GROWTH)
def test_four_times_the_guests_take_about_four_times_as_long(store: Store, what: str) -> None:
    question, make, count = GROWTH[what]
    few, more = (
        store.cpu(vibes, question, json.dumps(vibes[list(vibes)[-1]]))
        for vibes in (make(count), make(4 * count))
    )
    assert more < 6.5 * few
