from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT7, DRAFT202012

from refinery_cli.read.schema_drafts import SchemaDraft, id_of, plan
from refinery_cli.read.schema_files import SchemaFile, Unresolved
from refinery_core.vibe.references import read_schema

DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def planned(schemas: Mapping[str, Any]) -> list[SchemaDraft]:
    read = [SchemaFile(PurePath(name), schema) for name, schema in schemas.items()]
    drafts = plan(read, {file: id_of(file.path, "s").replace(" ", "-") for file in read})
    for draft in drafts:
        read_schema(draft.schema)  # It is a schema that a ledger takes.
    return drafts


def imported(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {draft.id: draft.schema for draft in planned(schemas)}


# --- By name, by $id ----------------------------------------------------------------------


def test_a_reference_leads_by_file_name_relative_to_its_file() -> None:
    schemas = imported({
        "a/one.schema.json": {"$ref": "../b/two.json"},
        "b/two.json": {"properties": {"x": {"$ref": "./number%203.json"}}},
        "b/number 3.json": {"type": "string"},
    })  # fmt: skip
    assert schemas["s/one"] == {"$ref": "aug:/s/two"}
    assert schemas["s/two"]["properties"]["x"] == {"$ref": "aug:/s/number-3"}


def test_a_reference_leads_by_id_where_no_file_has_the_name() -> None:
    schemas = imported({
        "one.json": {"$id": "https://x.org/schemas/one.json", "$ref": "two.json"},
        "second.json": {"$id": "https://x.org/schemas/two.json", "type": "string"},
        "three.json": {"$ref": "https://x.org/schemas/two.json#"},
    })  # fmt: skip
    assert schemas["s/one"]["$ref"] == "aug:/s/second"
    assert schemas["s/three"]["$ref"] == "aug:/s/second"


def test_the_file_name_goes_before_the_id() -> None:
    schemas = imported({
        "one.json": {"$id": "https://x.org/one.json", "$ref": "two.json"},
        "two.json": {"type": "string"},
        "other.json": {"$id": "https://x.org/two.json", "type": "integer"},
    })  # fmt: skip
    assert schemas["s/one"]["$ref"] == "aug:/s/two"


def test_fragments_are_kept_and_anchors_become_the_place_that_they_name() -> None:
    schemas = imported({
        "one.json": {
            "properties": {
                "a": {"$ref": "two.json#/$defs/a~1b%25"},
                "b": {"$ref": "two.json#named"},
                "c": {"$ref": "https://x.org/part#/$defs/deep"},
            }
        },
        "two.json": {
            "$defs": {
                "a/b%": {"type": "string"},
                "n": {"$anchor": "named"},
                "p": {"$id": "https://x.org/part", "$defs": {"deep": {}}},
            }
        },
    })  # fmt: skip
    assert {key: part["$ref"] for key, part in schemas["s/one"]["properties"].items()} == {
        "a": "aug:/s/two#/$defs/a~1b%25",
        "b": "aug:/s/two#/$defs/n",
        "c": "aug:/s/two#/$defs/p/$defs/deep",
    }


def test_an_anchor_of_draft_07_is_an_id_that_begins_with_a_hash() -> None:
    schemas = imported({
        "one.json": {"$schema": DRAFT_07, "items": {"$ref": "two.json#named"}},
        "two.json": {"$schema": DRAFT_07, "definitions": {"n": {"$id": "#named", "type": "string"}}},
    })  # fmt: skip
    assert schemas["s/one"]["items"]["$ref"] == "aug:/s/two#/definitions/n"


def test_beside_a_ref_of_draft_07_an_id_moves_no_base() -> None:
    schemas = imported({
        "one.json": {
            "$schema": DRAFT_07,
            "$id": "https://x.org/a/one.json",
            "items": {"$id": "https://elsewhere.org/", "$ref": "two.json"},
        },
        "2.json": {"$schema": DRAFT_07, "$id": "https://x.org/a/two.json"},
    })  # fmt: skip
    assert schemas["s/one"]["items"]["$ref"] == "aug:/s/2"


def test_what_already_leads_somewhere_stays() -> None:
    schema = {
        "$id": "https://x.org/one",
        "$schema": DRAFT_2020,
        "properties": {
            "a": {"$ref": "#/$defs/a"},
            "b": {"$ref": "aug:/other"},
            "c": {"$ref": DRAFT_07},
            "d": {"$ref": "part"},
            "e": {"$dynamicRef": "#node"},
        },
        "$defs": {"a": {}, "p": {"$id": "part"}, "n": {"$dynamicAnchor": "node"}},
    }
    assert imported({"one.json": schema}) == {"s/one": schema}


def test_a_reference_to_itself_by_name_or_id_becomes_local() -> None:
    schemas = imported({
        "tree.json": {
            "$id": "https://x.org/tree",
            "properties": {
                "left": {"$ref": "tree.json"},
                "right": {"$ref": "https://x.org/tree#/properties/left"},
            },
        }
    })  # fmt: skip
    properties = schemas["s/tree"]["properties"]
    assert (properties["left"]["$ref"], properties["right"]["$ref"]) == ("#", "#/properties/left")


def test_what_only_looks_like_a_reference_is_data() -> None:
    schema = {
        "properties": {"$ref": {"type": "string"}},
        "default": {"$ref": "nowhere.json"},
        "examples": [{"$ref": "nowhere.json"}],
        "enum": [{"$ref": "nowhere.json"}],
    }
    assert imported({"one.json": schema}) == {"s/one": schema}


def test_the_files_that_were_read_are_left_as_they_are() -> None:
    schemas = {"one.json": {"$ref": "two.json"}, "two.json": {"items": {"$ref": "two.json"}}}
    before = json.dumps(schemas)
    planned(schemas)
    assert json.dumps(schemas) == before


# --- Order and rings ----------------------------------------------------------------------


def test_what_is_referred_to_comes_first() -> None:
    chain = {f"{n}.json": {"items": {"$ref": f"{n + 1}.json"}} for n in range(300)} | {"300.json": True}
    assert [draft.id for draft in planned(chain)] == [f"s/{n}" for n in range(300, -1, -1)]


def test_a_ring_becomes_one_vibe_whose_root_is_the_file_given_first() -> None:
    (draft, user) = planned({
        "user.json": {"$ref": "b.json#/properties/back"},
        "a.json": {"$id": "https://x.org/a", "properties": {"b": {"$ref": "b.json"}}},
        "b.json": {
            "$id": "https://x.org/b",
            "properties": {"back": {"$ref": "https://x.org/a"}, "self": {"$ref": "#/properties/back"}},
            "$defs": {"named": {"$anchor": "n"}},
            "items": {"$ref": "#n"},
        },
    })  # fmt: skip
    assert [file.path.name for file in draft.files] == ["a.json", "b.json"]
    assert draft.schema == {
        "$id": "https://x.org/a",
        "properties": {"b": {"$ref": "#/$defs/b"}},
        "$defs": {
            "b": {
                "properties": {"back": {"$ref": "#"}, "self": {"$ref": "#/$defs/b/properties/back"}},
                "$defs": {"named": {}},
                "items": {"$ref": "#/$defs/b/$defs/named"},
            }
        },
    }
    assert user.schema == {"$ref": "aug:/s/a#/$defs/b/properties/back"}


def test_a_guest_does_not_take_a_name_that_is_taken() -> None:
    (draft,) = planned({
        "a.json": {"$schema": DRAFT_07, "definitions": {"b": {}}, "items": {"$ref": "b.json"}},
        "b.json": {"$schema": DRAFT_07, "items": {"$ref": "a.json#/definitions/b"}},
    })  # fmt: skip
    assert draft.schema["items"]["$ref"] == "#/definitions/b-2"
    assert draft.schema["definitions"] == {"b": {}, "b-2": {"items": {"$ref": "#/definitions/b"}}}


@pytest.mark.parametrize("dialect", [DRAFT_07, DRAFT_2020])
def test_a_merged_ring_accepts_and_refuses_what_the_files_do(dialect: str) -> None:
    schemas: dict[str, Any] = {
        "folder.json": {
            "$schema": dialect,
            "type": "object",
            "required": ["name"],
            "properties": {"files": {"items": {"$ref": "file.json"}}},
        },
        "file.json": {
            "$schema": dialect,
            "definitions": {"size": {"minimum": 0}},
            "properties": {"size": {"$ref": "#/definitions/size"}, "in": {"$ref": "folder.json"}},
        },
    }
    specification = DRAFT7 if dialect == DRAFT_07 else DRAFT202012
    registry = referencing.Registry().with_resources(
        (name, specification.create_resource(schema)) for name, schema in schemas.items()
    )
    validator = jsonschema.validators.validator_for({"$schema": dialect})
    apart = validator({"$ref": "folder.json"}, registry=registry)
    (draft,) = planned(schemas)
    merged = validator(draft.schema)
    for instance in (
        {"name": 1},
        {},
        {"name": 1, "files": [{"size": 1}]},
        {"name": 1, "files": [{"size": -1}]},
        {"name": 1, "files": [{"in": {"name": 2}}]},
        {"name": 1, "files": [{"in": {"files": []}}]},
    ):
        assert merged.is_valid(instance) == apart.is_valid(instance)


# --- Refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schemas", "sentence"),
    [
        ({"a.json": {"items": {"$ref": "b.json"}}}, "a.json at /items/$ref: 'b.json' leads to no file"),
        ({"a.json": {"$ref": "https://x.org/a"}}, "nothing is fetched"),
        ({"a.json": {"$ref": "b.json#/x"}, "b.json": {}}, "'b.json#/x' does not lead to a schema in b.json"),
        ({"a.json": {"$ref": "b.json#x"}, "b.json": {}}, "does not lead to a schema"),
        ({"a.json": {"$ref": "b.json#/~2"}, "b.json": {}}, "does not lead to a schema"),
        ({"a.json": {"$dynamicRef": "b.json#n"}, "b.json": {}}, "a $dynamicRef to another file"),
        (
            {"a": {"$id": "http://x/"}, "b": {"$id": "http://x/"}, "c": {"$ref": "http://x/"}},
            "'http://x/' may mean a and b, which have the same $id",
        ),
        ({"a.json": {}, "x/a.json": {}}, "has the id 's/a' as well; use --map"),
        (
            {"a.json": {"$ref": "b.json"}, "b.json": {"$schema": DRAFT_07, "items": {"$ref": "a.json"}}},
            "files of two dialects",
        ),
        (
            {"a.json": {"$ref": "b.json"}, "b.json": {"items": {"$id": "http://x/", "$ref": "a.json"}}},
            "a part with an $id of its own cannot be moved",
        ),
        (
            {"a.json": {"$ref": "b.json"}, "b.json": {"$dynamicAnchor": "n", "items": {"$ref": "a.json"}}},
            "what is dynamic cannot be moved",
        ),
    ],
)
def test_what_cannot_become_vibes_is_refused_with_file_and_pointer(
    schemas: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(Unresolved) as caught:
        planned(schemas)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("bom-1.6.schema.json", "p/bom-1.6"),
        ("a/b/user.json", "p/user"),
        ("user.yaml", "p/user"),
        ("user", "p/user"),
    ],
)
def test_an_id_is_the_prefix_and_the_name_without_its_endings(name: str, id_: str) -> None:
    assert id_of(PurePath(name), "p/") == id_of(PurePath(name), "p") == id_


# --- The real thing -----------------------------------------------------------------------


def test_all_cyclonedx_schemas_are_imported_at_once_though_some_share_an_id() -> None:
    folder = files("cyclonedx.schema") / "_res"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".json"))
    drafts = planned({name: json.loads((folder / name).read_text()) for name in names})
    by_id = {draft.id: draft for draft in drafts}
    assert len(drafts) == len(names)
    assert {each.becomes for each in by_id["s/bom-1.7.SNAPSHOT"].references} == {
        "aug:/s/spdx.SNAPSHOT",
        "aug:/s/jsf-0.82.SNAPSHOT#/definitions/signature",
        "aug:/s/cryptography-defs.SNAPSHOT#/definitions/algorithmFamiliesEnum",
        "aug:/s/cryptography-defs.SNAPSHOT#/definitions/ellipticCurvesEnum",
    }
