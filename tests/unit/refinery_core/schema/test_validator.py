from __future__ import annotations

import json
import socket
import time
from importlib.resources import files
from typing import Any

import pytest

from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.references import SchemaFault, read_schema

D7 = "http://json-schema.org/draft-07/schema#"
D19 = "https://json-schema.org/draft/2019-09/schema"
D20 = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "strin"}, "/type"),
        ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength"),
        ({"$schema": D7, "items": [{"required": "a"}]}, "/items"),
        ({"items": [{}]}, "/items"),
        ({"pattern": "("}, "/pattern"),
        ({"allOf": {}}, "/allOf"),
    ],
)
def test_a_schema_that_breaks_its_meta_schema_is_refused_with_the_path(schema: Any, path: str) -> None:
    with pytest.raises(SchemaFault) as caught:
        compile_schema(schema)
    assert caught.value.path.startswith(path)


@pytest.mark.parametrize("pattern", ["^(?=a)b", "(?<!a)b", r"(a)\1", "(x{1000}){1000}"])
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
@pytest.mark.parametrize("dialect", [D7, D19, D20])
def test_a_pattern_that_could_run_away_is_refused(pattern: str, keyword: str, dialect: str) -> None:
    value: Any = pattern if keyword == "pattern" else {pattern: True}
    with pytest.raises(SchemaFault, match="linear time"):
        compile_schema({"$schema": dialect, keyword: value})


def test_a_pattern_with_nested_repetition_stays_fast() -> None:
    validator = compile_schema({"pattern": "^(a|aa)+(a+)+$"})
    begin = time.process_time()
    assert not validator.is_valid("a" * 100_000 + "b")
    assert time.process_time() - begin < 1


def test_a_pattern_deep_inside_is_refused_too() -> None:
    with pytest.raises(SchemaFault):
        compile_schema({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"pattern": "(?=a)"}]}}})


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/a", "file:///etc/hostname", "https://localhost/x"]
)
def test_nothing_is_ever_fetched(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        address = address.format(port=server.getsockname()[1])
        for schema in ({"$ref": address}, {"properties": {"a": {"$ref": address}}}, {"$dynamicRef": address}):
            with pytest.raises(SchemaFault):
                compile_schema(schema)
            with pytest.raises(SchemaFault, match="nothing is ever fetched"):
                read_schema(schema)
        with pytest.raises(SchemaFault):
            compile_schema({"$schema": address})
        with pytest.raises(TimeoutError):
            server.accept()


def test_formats_assert_in_draft_07_and_annotate_later() -> None:
    assert compile_schema({"$schema": D7, "format": "date-time"}).violations("yesterday", 1)
    for dialect in (D19, D20):
        assert not compile_schema({"$schema": dialect, "format": "date-time"}).violations("yesterday", 1)
    assert not compile_schema({"$schema": D7, "format": "made-up"}).violations("x", 1)


@pytest.mark.parametrize("address", [D7, D19, D20])
@pytest.mark.parametrize("dialect", [D7, D19, D20])
def test_every_meta_schema_is_known_to_every_dialect(address: str, dialect: str) -> None:
    validator = compile_schema({"$schema": dialect, "allOf": [{"$ref": address}]})
    assert validator.is_valid({"properties": {"a": {"type": "string"}}})
    assert not validator.is_valid({"properties": {"a": {"type": "strin"}}})


def test_violations_have_json_pointers_and_stop_at_the_limit() -> None:
    validator = compile_schema(
        {"properties": {"a/b": {"items": {"$ref": "#/$defs/n"}}}, "$defs": {"n": {"minimum": 0}}}
    )
    found = validator.violations({"a/b": [1, -1, -2, -3]}, 2)
    assert [(violation.instance_path, violation.message) for violation in found] == [
        ("/a~1b/1", "-1 is less than the minimum of 0"),
        ("/a~1b/2", "-2 is less than the minimum of 0"),
    ]
    assert found[0].schema_path == "/properties/a~1b/items/$ref/minimum"
    assert validator.violations({"a/b": [1]}, 20) == ()


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({"allOf": [{"type": "object"}] * 5000}, ["x" * 100] * 10_000),
        ({"items": {"allOf": [{"type": "string"}] * 500}}, [1] * 100_000),
    ],
)
def test_where_listing_all_would_take_too_much_the_first_violation_is_told(
    schema: Any, instance: Any
) -> None:
    validator = compile_schema(schema)
    begin = time.process_time()
    assert len(validator.violations(instance, 20)) == 1
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("instance", ["x" * 100_000, ["x" * 100_000], {"x" * 100_000: 1}])
def test_a_message_never_echoes_a_huge_instance(instance: Any) -> None:
    schema = {
        "maxLength": 1,
        "maxItems": 0,
        "additionalProperties": False,
        "enum": [1],
        "not": {},
        "propertyNames": False,
    }
    for violation in compile_schema(schema).violations(instance, 20):
        assert len(violation.message) <= 300


def test_json_text_compiles_as_its_value_does() -> None:
    for schema in (True, False, {"type": "integer"}):
        ours, theirs = compile_schema(schema), compile_schema(json.dumps(schema))
        assert [ours.is_valid(i) for i in (1, "x")] == [theirs.is_valid(i) for i in (1, "x")]


def test_references_that_go_round_end() -> None:
    for schema in ({"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"not": {"$ref": "#"}}):
        compile_schema(schema).is_valid(1)


@pytest.mark.parametrize("name", ["spdx", "jsf-0.82", "cryptography-defs"])
def test_real_schemas_compile(name: str) -> None:
    text = (files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8")
    assert read_schema(json.loads(text)).references == ()
    compile_schema(text)
