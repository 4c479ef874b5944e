from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import asyncpg
import pytest

from refinery_core.schema.validator import compile_schema, violations
from refinery_core.vibe.references import RESOLVED, pin, read_schema
from tests.cases.store import Store


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


def cyclonedx(name: str) -> str:
    return (files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["1.6", "1.7"])
def test_the_real_cyclonedx_schemas_compose(store: Store, version: str) -> None:
    files_by_id = {"spdx": "spdx", "jsf": "jsf-0.82", "cryptography-defs": "cryptography-defs"}
    text = cyclonedx(f"bom-{version}")
    for id_, name in files_by_id.items():
        text = text.replace(f"{name}.SNAPSHOT.schema.json", f"aug:/{id_}")
    bom = json.loads(text)
    vibes = {f"main@{id_}?1": json.loads(cyclonedx(name)) for id_, name in files_by_id.items()}
    vibes["main@bom?1"] = pin(bom, read_schema(bom), {f"aug:/{id_}": f"main@{id_}?1" for id_ in files_by_id})
    vibes["main@sbom?1"] = {"$ref": "aug:/bom", RESOLVED: "main@bom?1"}
    bundle, embedded = store.ask(
        vibes, *((f"select refinery.{form}($1)::text", ("main@sbom?1",)) for form in reversed(FORMS))
    )
    part = {"type": "file", "name": "b"}
    component = {
        "type": "library",
        "name": "a",
        "licenses": [{"license": {"id": "MIT"}}],
        "components": [part],
    }
    sbom: dict[str, Any] = {"bomFormat": "CycloneDX", "specVersion": version, "components": [component]}
    validator = compile_schema(bundle)
    assert violations(validator, sbom, 20) == ()
    component["licenses"] = [{"license": {"id": "no such license"}}]
    part["type"] = "no such type"
    sbom["signature"] = {"algorithm": 7}
    paths = [violation.instance_path for violation in violations(validator, sbom, 20)]
    for path in ("/components/0/licenses", "/components/0/components/0/type", "/signature"):
        assert any(found.startswith(path) for found in paths), path
    assert read_schema(json.loads(embedded)).unpinned == ()
