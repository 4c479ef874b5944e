"""Schemas that are none, that reach outside, or that would be too much."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

from typing import Any

from refinery.resolver.v1 import resolver_service_pb2 as resolver
from tests.cases.bad_input.rows import (
    ANSWERED,
    DEEPEST,
    DIAMONDS,
    FIELD,
    MIB,
    NO_SCHEMA,
    NO_SOLUTION,
    REFERENCE,
    SCHEMA,
    SOLUTION,
    TOO_DEEP,
    TOO_LARGE,
    UNKNOWN_REFERENCE,
    Row,
    bomb,
    document,
    refine_of,
    refine_schema,
)

USER = "aug:/schemas/user"
PIN = "main@schemas/user?1"
BOMB = bomb(50)

FAULTS: dict[str, tuple[Any, str | None]] = {
    "a list": ([], ""),
    "a string": ("aug:/schemas/user", ""),
    "null": (None, ""),
    "an unknown dialect": ({"$schema": "https://json-schema.org/draft/2099-01/schema"}, "/$schema"),
    "draft-04": ({"$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema"),
    "a dialect that is a number": ({"$schema": 7}, "/$schema"),
    "another dialect in the middle": (
        {"not": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        "/not/$schema",
    ),
    "a type that is none": ({"type": "text"}, None),
    "a negative maxLength": ({"maxLength": -1}, None),
    "required that is a string": ({"required": "a"}, None),
    "a member that is no schema": ({"properties": {"a": 1}}, None),
    "a $ref by http": ({"$ref": "http://127.0.0.1:9/x.json"}, "/$ref"),
    "a $ref by https": ({"items": {"$ref": "https://example.com/x.json"}}, "/items/$ref"),
    "a $ref to a file": ({"$ref": "file:///etc/hostname"}, "/$ref"),
    "a $ref to a file beside it": ({"$ref": "other.json"}, "/$ref"),
    "a $dynamicRef outside": ({"$dynamicRef": "http://127.0.0.1:9/#x"}, "/$dynamicRef"),
    "a $ref that an $id leads outside": ({"$id": "http://127.0.0.1:9/", "$ref": "x.json"}, "/$ref"),
    "a $ref to nowhere inside": ({"$ref": "#/$defs/nothing"}, "/$ref"),
    "a $ref to an anchor that is not there": ({"$ref": "#nothing"}, "/$ref"),
    "a $ref to what is no schema": ({"enum": [{"a": 1}], "$ref": "#/enum/0"}, "/$ref"),
    "an id twice": ({"$defs": {"a": {"$id": "urn:x"}, "b": {"$id": "urn:x"}}}, None),
    "an anchor twice": ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, None),
    "an $id with a fragment": ({"$id": "urn:x#y"}, "/$id"),
    "a bad reference": ({"$ref": "aug:/a/../b"}, "/$ref"),
    "a reference in capitals": ({"$ref": "AUG:/schemas/user"}, "/$ref"),
    "a reference with a bad fragment": ({"$ref": f"{USER}#type"}, "/$ref"),
    "a reference with a fragment to nowhere": ({"$ref": f"{USER}#/nowhere"}, ""),
    "a reference with a fragment to no schema": ({"items": {"$ref": f"{USER}#/required"}}, "/items"),
    "a $refOriginal that floats": ({"$refOriginal": USER}, "/$refOriginal"),
    "a $refOriginal that is a number": ({"$refOriginal": 1}, "/$refOriginal"),
    "$ref and $refOriginal": ({"$ref": USER, "$refOriginal": f"{USER}?1"}, "/$refOriginal"),
    "a pin that is a number": ({"$ref": USER, "$refResolved": 1}, "/$refResolved"),
    "a pin that is an aug: reference": ({"$ref": USER, "$refResolved": f"aug:{PIN}"}, "/$refResolved"),
    "a pin of another id": ({"$ref": USER, "$refResolved": "main@records/plain?1"}, "/$refResolved"),
    "a pin of another revision": ({"$ref": f"{USER}?2", "$refResolved": PIN}, "/$refResolved"),
    "a pin that is an alias": ({"$ref": "aug:/schemas/shared", "$refResolved": "dev@schemas/shared?1"}, ""),
    "a pin alone": ({"$refResolved": PIN}, "/$refResolved"),
    "a pin beside a local $ref": ({"$ref": "#", "$refResolved": PIN}, "/$refResolved"),
    "a pin in data": ({"const": {"$ref": USER, "$refResolved": PIN}}, "/const/$refResolved"),
    "a pin in an unknown keyword": ({"x": [{"$refResolved": PIN}]}, "/x/0/$refResolved"),
    "look-ahead": ({"pattern": "^(?=a)"}, None),
    "look-behind": ({"patternProperties": {"(?<!a)b": {}}}, None),
    "a back reference": ({"pattern": "(a)\\1"}, None),
    "an open bracket": ({"pattern": "["}, None),
    "a huge repetition": ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, None),
}

REFUSED = [
    Row(f"a schema with {what}", "Refine", refine_schema(schema), SCHEMA, {"field": "drafts[0].schema"} | ({} if path is None else {"path": path}))
    for what, (schema, path) in FAULTS.items()
]  # fmt: skip


def resolve(schema: Any, **fields: Any) -> resolver.ResolveSchemaRequest:
    return resolver.ResolveSchemaRequest(schema=document(schema), **fields)


def validate(schema: Any, solution: Any) -> resolver.ValidateSolutionRequest:
    return resolver.ValidateSolutionRequest(schema=document(schema), solution=document(solution))


def deeper(levels: int) -> dict[str, Any]:
    return {"properties": {"next": {"$ref": f"aug:/deep/{levels}"}}}


BOTH = {"allOf": [{"$ref": "aug:/large/0"}, {"$ref": "aug:/large/1"}]}
EVIL = "^(([a-z])+.)+[A-Z]([a-z])+$"
NESTED = {"anyOf": [{"$ref": "#/$defs/a"}] * 2, "$defs": {"a": {"items": {"$ref": "#"}}}}

COMPOSED = [
    Row("an unknown reference", "Refine", refine_schema({"items": {"$ref": "aug:/nothing"}}), UNKNOWN_REFERENCE, {"field": "drafts[0].schema", "reference": "aug:/nothing"}),
    Row("an unknown revision", "Refine", refine_schema({"$ref": f"{USER}?9"}), UNKNOWN_REFERENCE, {"reference": f"{USER}?9"}),
    Row("an unknown $refOriginal", "Refine", refine_schema({"$refOriginal": "aug:main@nothing?1"}), UNKNOWN_REFERENCE, {"field": "drafts[0].schema"}),
    Row("a pin that does not exist", "Refine", refine_schema({"$ref": USER, "$refResolved": "main@schemas/user?9"}), UNKNOWN_REFERENCE, {"reference": "main@schemas/user?9"}),
    Row("a pin on a branch that does not exist", "Refine", refine_schema({"$ref": USER, "$refResolved": "nowhere@schemas/user?1"}), UNKNOWN_REFERENCE),
    Row("a reference to itself", "Refine", refine_schema({"$ref": "aug:/new"}), UNKNOWN_REFERENCE),
    Row("a reference to a Vibe without schema", "Refine", refine_schema({"$ref": "aug:/records/plain"}), NO_SCHEMA, {"ref": "main@records/plain?1"}),
    Row("33 levels", "Refine", refine_schema(deeper(DEEPEST)), TOO_DEEP, {"field": "drafts[0].schema", "limit": "32"}),
    Row("33 levels to resolve", "ResolveSchema", resolve(deeper(DEEPEST)), TOO_DEEP, {"field": "schema", "limit": "32"}),
    Row("33 levels to validate with", "ValidateSolution", validate(deeper(DEEPEST), {}), TOO_DEEP, {"field": "schema"}),
    Row("a solution that its schema asks too often", "Refine", refine_of(schema=document(BOMB[0]), solution=document(BOMB[1])), SOLUTION),
    Row("a solution to validate that its schema asks too often", "ValidateSolution", validate(*BOMB), ANSWERED),
    Row("33 levels of a change", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", schema=document(deeper(DEEPEST))), TOO_DEEP),
    Row("more than 1 MiB resolved", "Refine", refine_schema(BOTH), TOO_LARGE, {"field": "drafts[0].schema", "limit": str(MIB)}),
    Row("more than 1 MiB to resolve", "ResolveSchema", resolve(BOTH), TOO_LARGE, {"field": "schema"}),
    Row("more than 1 MiB to validate with", "ValidateSolution", validate(BOTH, {}), TOO_LARGE, {"field": "schema"}),
    Row("diamonds embedded", "ResolveSchema", resolver.ResolveSchemaRequest(reference=f"aug:/diamonds/{DIAMONDS}", form=resolver.SCHEMA_FORM_EMBEDDED), TOO_LARGE, {"limit": str(MIB)}),
    Row("diamonds bundled", "ResolveSchema", resolver.ResolveSchemaRequest(reference=f"aug:/diamonds/{DIAMONDS}"), ANSWERED),
    Row("diamonds with pins anew", "ResolveSchema", resolver.ResolveSchemaRequest(reference=f"aug:/diamonds/{DIAMONDS}", repin=True), ANSWERED),
    Row("dependents of diamonds", "ListDependents", resolver.ListDependentsRequest(reference="aug:/diamonds/0", transitive=True), ANSWERED),
    Row("impact on diamonds", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="diamonds/0", schema=document({"type": "object"})), ANSWERED),
    Row("a pattern that would run away elsewhere", "ValidateSolution", validate({"pattern": EVIL}, "a" * 100_000), ANSWERED),
    Row("another one", "ValidateSolution", validate({"pattern": "^(a+)+$"}, "a" * 100_000 + "!"), ANSWERED),
    Row("one in a draft", "Refine", refine_of(schema=document({"pattern": "^(a|a)*$"}), solution=document("a" * 100_000 + "!")), "INVALID_ARGUMENT SOLUTION_INVALID"),
    Row("recursion that doubles at every level", "ValidateSolution", validate(NESTED, [[[[[[[[[[[[]]]]]]]]]]]]), ANSWERED),
    Row("many items that must differ", "ValidateSolution", validate({"uniqueItems": True}, [{"n": n} for n in range(3_000)]), ANSWERED),
    Row("a schema by http to resolve", "ResolveSchema", resolve({"$ref": "http://127.0.0.1:9/"}), SCHEMA, {"field": "schema", "path": "/$ref"}),
    Row("a schema by file to validate with", "ValidateSolution", validate({"$ref": "file:///etc/hostname"}, 1), SCHEMA, {"field": "schema", "path": "/$ref"}),
    Row("a schema with a bad pin to resolve", "ResolveSchema", resolve({"$ref": USER, "$refResolved": "x"}, repin=True), SCHEMA, {"field": "schema"}),
    Row("a schema with an unknown reference", "ResolveSchema", resolve({"$ref": "aug:/nothing"}), UNKNOWN_REFERENCE, {"field": "schema"}),
    Row("a schema that is null", "ResolveSchema", resolve(None), SCHEMA, {"field": "schema"}),
    Row("a schema with a type that is none", "ValidateSolution", validate({"type": 1}, 1), SCHEMA, {"field": "schema"}),
    Row("a Vibe without schema", "ResolveSchema", resolver.ResolveSchemaRequest(reference="aug:/records/plain"), NO_SCHEMA, {"ref": "main@records/plain?1"}),
    Row("a Vibe without schema", "ValidateSolution", resolver.ValidateSolutionRequest(reference="aug:/records/plain"), NO_SCHEMA),
    Row("a Vibe without solution", "ValidateSolution", resolver.ValidateSolutionRequest(reference=USER), NO_SOLUTION, {"ref": PIN}),
    Row("no solution", "ValidateSolution", resolver.ValidateSolutionRequest(schema=document({})), FIELD, {"field": "solution"}),
    Row("a fragment to nowhere", "ValidateSolution", resolver.ValidateSolutionRequest(reference=f"{USER}#/nowhere", solution=document(1)), REFERENCE, {"field": "reference"}),
    Row("a Vibe without schema that changes", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="records/plain"), NO_SCHEMA),
    Row("a change to what is no schema", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", schema=document([])), SCHEMA, {"field": "schema"}),
]  # fmt: skip

ROWS = REFUSED + COMPOSED
