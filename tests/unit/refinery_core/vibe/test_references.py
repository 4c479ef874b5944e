# ruff: noqa: E501 -- in a table, a row is a line
from __future__ import annotations

import copy
from typing import Any

import pytest

from refinery_core.vibe.keywords import Dialect
from refinery_core.vibe.references import (
    RESOLVED,
    SchemaFault,
    dialect,
    pin,
    read_schema,
    schema_at,
    unpin,
)
from tests.cases.composition import CASES, Case

D7 = "http://json-schema.org/draft-07/schema#"
D19 = "https://json-schema.org/draft/2019-09/schema"
D20 = "https://json-schema.org/draft/2020-12/schema"

REFUSED: list[tuple[str, Any, str, str]] = [
    ("a string is no schema", "aug:/a", "", "an object or a boolean"),
    ("null is no schema", None, "", "an object or a boolean"),
    ("an array is no schema", [], "", "an object or a boolean"),
    ("an unknown dialect", {"$schema": "https://example.org/s"}, "/$schema", "the dialects are"),
    ("draft-04", {"$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema", "the dialects are"),
    ("a $schema that is no string", {"$schema": 7}, "/$schema", "the dialects are"),
    ("an unknown dialect inside", {"$defs": {"a": {"$id": "a", "$schema": "x"}}}, "/$defs/a/$schema", "dialects"),
    ("another dialect without an $id", {"$defs": {"a": {"$schema": D7}}}, "/$defs/a/$schema", "an $id of its own"),
    ("a malformed reference", {"$ref": "aug:/a//b"}, "/$ref", "a segment is empty"),
    ("a reference to an anchor", {"$ref": "aug:/a#x"}, "/$ref", "JSON pointer"),
    ("a malformed original", {"$refOriginal": "a?1"}, "/$refOriginal", "does not start with 'aug:'"),
    ("an original that is no string", {"$refOriginal": {}}, "/$refOriginal", "a string"),
    ("an original that floats", {"$refOriginal": "aug:/a"}, "/$refOriginal", "names a revision"),
    ("both keys", {"$ref": "#", "$refOriginal": "aug:/a?1"}, "/$refOriginal", "side by side"),
    ("a pin that is no ref", {"$ref": "aug:/a", RESOLVED: "aug:/a?1"}, f"/{RESOLVED}", "is not a ref"),
    ("a pin that is no string", {"$ref": "aug:/a", RESOLVED: 1}, f"/{RESOLVED}", "a string"),
    ("a pin to another id", {"$ref": "aug:/a", RESOLVED: "main@b?1"}, f"/{RESOLVED}", "not a version"),
    ("a pin to another revision", {"$ref": "aug:/a?2", RESOLVED: "main@a?1"}, f"/{RESOLVED}", "not a version"),
    ("a pin alone", {RESOLVED: "main@a?1"}, f"/{RESOLVED}", "stands only beside"),
    ("a pin beside a local reference", {"$ref": "#", RESOLVED: "main@a?1"}, f"/{RESOLVED}", "stands only beside"),
    ("a pin in data", {"const": [{RESOLVED: "x"}]}, f"/const/0/{RESOLVED}", "stands only beside"),
    ("a pin in a default", {"default": {"a": {RESOLVED: "x"}}}, f"/default/a/{RESOLVED}", "stands only beside"),
    ("a pin under an unknown keyword", {"x": {RESOLVED: "x"}}, f"/x/{RESOLVED}", "stands only beside"),
    ("a pin among dependencies", {"dependencies": {"a": [{RESOLVED: "x"}]}}, f"/dependencies/a/0/{RESOLVED}", "beside"),
    ("a pin under a list that is none", {"allOf": {RESOLVED: "x"}}, f"/allOf/{RESOLVED}", "stands only beside"),
    ("a pin that is no property", {"properties": {RESOLVED: "x"}}, f"/properties/{RESOLVED}", "stands only beside"),
    ("an address elsewhere", {"$ref": "https://example.org/a"}, "/$ref", "nothing is ever fetched"),
    ("a file", {"$ref": "file:///etc/passwd"}, "/$ref", "nothing is ever fetched"),
    ("a relative file", {"items": {"$ref": "other.json"}}, "/items/$ref", "nothing is ever fetched"),
    ("another spelling of the scheme", {"$ref": "AUG:/a"}, "/$ref", "nothing is ever fetched"),
    ("a dynamic reference elsewhere", {"$dynamicRef": "aug:/a"}, "/$dynamicRef", "nothing is ever fetched"),
    ("a pointer to nothing", {"$ref": "#/$defs/a"}, "/$ref", "does not lead to a schema"),
    ("a pointer into data", {"$ref": "#/default", "default": {}}, "/$ref", "does not lead to a schema"),
    ("a pointer to an unknown keyword", {"$ref": "#/x", "x": {}}, "/$ref", "does not lead to a schema"),
    ("a pointer to a map", {"$ref": "#/$defs", "$defs": {}}, "/$ref", "does not lead to a schema"),
    ("a pointer with a bad escape", {"$ref": "#/$defs/~2"}, "/$ref", "'~'"),
    ("an index with a leading zero", {"$ref": "#/allOf/00", "allOf": [True]}, "/$ref", "does not lead"),
    ("an anchor that is not there", {"$ref": "#a"}, "/$ref", "does not lead to a schema"),
    ("an anchor of another resource", {"$ref": "#a", "$defs": {"x": {"$id": "x", "$anchor": "a"}}}, "/$ref", "lead"),
    ("an anchor in draft-07", {"$schema": D7, "allOf": [{"$ref": "#a"}], "$anchor": "a"}, "/allOf/0/$ref", "lead"),
    ("a $recursiveRef elsewhere", {"$schema": D19, "$recursiveRef": "#/$defs/a"}, "/$recursiveRef", "lead"),
    ("an $id given twice", {"$defs": {"a": {"$id": "x"}, "b": {"$id": "x"}}}, "/$defs/b/$id", "two schemas"),
    ("the root's $id given again", {"$id": "x", "$defs": {"a": {"$id": "x"}}}, "/$defs/a/$id", "two schemas"),
    ("an anchor given twice", {"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "/$defs/b/$anchor", "two places"),
    ("an $id with a fragment", {"$id": "https://example.org/#x"}, "/$id", "without a fragment"),
    ("a root that is an anchor", {"$schema": D7, "$id": "#x"}, "/$id", "an address"),
    ("an $id that draft-07 does not see", {"$schema": D7, "$defs": {"a": {"$id": "x"}}}, "/$defs/a/$id", "no name here"),
    ("an anchor unseen", {"dependencies": {"a": {"$anchor": "x"}}}, "/dependencies/a/$anchor", "no name here"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "path", "problem"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_is_refused_with_its_place(schema: Any, path: str, problem: str) -> None:
    with pytest.raises(SchemaFault) as caught:
        read_schema(schema)
    assert caught.value.path == path
    assert problem in caught.value.problem


def test_references_are_found_wherever_a_schema_may_stand_and_nowhere_else() -> None:
    ref = {"$ref": "aug:/a"}
    schema = {
        "properties": {"$ref": ref, "const": ref}, "items": [ref, True], "not": ref, "dependencies": {"a": ref, "b": ["c"]},
        "const": ref, "enum": [ref], "default": ref, "examples": [ref], "x-mine": ref, "required": ["$ref"],
    }  # fmt: skip
    found = {reference.pointer for reference in read_schema(schema).references}
    assert found == {"/properties/$ref", "/properties/const", "/items/0", "/not", "/dependencies/a"}


def test_a_reference_tells_all_that_pinning_needs() -> None:
    [found] = read_schema({"items": {"$refOriginal": "aug:~dev%2Fx/a?3#/$defs/b~1c"}}).references
    assert (found.pointer, found.key, found.pinned) == ("/items", "$refOriginal", None)
    assert (found.uri.branch, found.uri.id, found.uri.revision) == ("dev/x", "a", 3)
    assert found.vibe == "aug:~dev%2Fx/a?3"


def test_pinning_shares_nothing_that_it_changes_and_is_idempotent() -> None:
    schema = {
        "allOf": [{"$ref": "aug:/a"}, {"$ref": "aug:/b", RESOLVED: "main@b?1"}],
        "$defs": {"x/y": {"$ref": "aug:/a"}},
    }
    before = copy.deepcopy(schema)
    reading = read_schema(schema)
    assert reading.unpinned == ("aug:/a",)
    pinned = pin(schema, reading, {"aug:/a": "main@a?7", "aug:/b": "main@b?9"})
    assert schema == before
    assert pinned["allOf"] == [
        {"$ref": "aug:/a", RESOLVED: "main@a?7"},
        {"$ref": "aug:/b", RESOLVED: "main@b?1"},
    ]
    assert pinned["$defs"]["x/y"] == {"$ref": "aug:/a", RESOLVED: "main@a?7"}
    assert pin(pinned, read_schema(pinned), {}) == pinned


def test_two_fragments_of_one_vibe_are_one_thing_to_pin() -> None:
    schema = {"allOf": [{"$ref": "aug:/a#/$defs/x"}, {"$ref": "aug:/a"}]}
    assert read_schema(schema).unpinned == ("aug:/a",)


def test_unpinning_drops_the_pins_of_floating_references_only() -> None:
    schema = {"allOf": [{"$ref": "aug:/a", RESOLVED: "main@a?1"}, {"$ref": "aug:/b?1", RESOLVED: "main@b?1"}]}
    freed = unpin(schema, read_schema(schema))
    assert freed == {"allOf": [{"$ref": "aug:/a"}, {"$ref": "aug:/b?1", RESOLVED: "main@b?1"}]}
    assert RESOLVED in schema["allOf"][0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_read_pinned_and_freed_again(case: Case) -> None:
    for ref, schema in case.pinned.items():
        reading = read_schema(schema)
        assert all(found.pinned for found in reading.references)
        freed = unpin(schema, reading)
        wanted = {found.vibe: found.pinned for found in reading.references if found.pinned}
        assert pin(freed, read_schema(freed), wanted) == schema
        assert reading.dialect == dialect(case.written[ref])


def test_a_fragment_leads_to_a_schema_or_to_nothing() -> None:
    schema = {
        "items": [{"not": True}],
        "$defs": {"a/b": False, "n": 1},
        "const": {},
        "additionalItems": {"not": {}},
    }
    assert schema_at(schema, ()) is schema
    assert schema_at(schema, ("items", "0", "not")) is True
    assert schema_at(schema, ("$defs", "a/b")) is False
    assert schema_at(schema, ("additionalItems", "not")) == {}
    for tokens in [("items",), ("items", "1"), ("items", "-1"), ("items", "00"), ("$defs",), ("$defs", "n"), ("$defs", "x"),
                   ("const",), ("", ""), ("items", "0", "not", "not"), ("nothing",)]:  # fmt: skip
        assert schema_at(schema, tokens) is None, tokens


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("hash_", ["", "#"])
def test_a_dialect_is_known_by_any_of_its_spellings(scheme: str, hash_: str) -> None:
    for wanted in Dialect:
        address = scheme + "://" + wanted.split("://")[1].rstrip("#") + hash_
        assert read_schema({"$schema": address}).dialect is wanted
    assert read_schema({}).dialect is Dialect.DRAFT_2020_12
    assert read_schema(True).dialect is Dialect.DRAFT_2020_12


def test_a_standard_meta_schema_can_be_referred_to() -> None:
    for address in (D7, D7.rstrip("#"), D19, D20, f"{D20}#", f"{D7}/definitions/nonNegativeInteger"):
        assert read_schema({"properties": {"a": {"$ref": address}}}).references == ()


def test_in_draft_07_what_stands_beside_a_reference_has_no_name() -> None:
    schema = {"$schema": D7, "definitions": {"a": {"$id": "x", "$ref": "#/definitions/b"}, "b": {"$id": "x"}}}
    assert read_schema(schema).references == ()
