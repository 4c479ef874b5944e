"""Documents that are not I-JSON within the limits, in every place where a document may stand."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

from google.protobuf.struct_pb2 import Value

from refinery.resolver.v1 import resolver_service_pb2 as resolver
from refinery.vibe.v1 import vibe_pb2 as vibe
from tests.cases.bad_input.rows import (
    ANSWERED,
    DOCUMENT,
    FIELD,
    MALFORMED,
    MIB,
    SOLUTION,
    Row,
    document,
    json_document,
    nested_lists,
    refine,
    refine_of,
)

TEXTS = {
    "nothing": ("", "$"),
    "white space": (" ", "$"),
    "a cut-off text": ('{"a": [1, ', "$.a[1]"),
    "two texts": ("1 2", "$"),
    "a comment": ("{} // no", "$"),
    "a byte order mark": ("\ufeff{}", "$"),
    "single quotes": ("{'a': 1}", "$"),
    "a key that occurs twice": ('{"items": [0, {"name": 1, "name": 2}]}', "$.items[1]"),
    "an escaped key that occurs twice": ('{"a": 1, "\\u0061": 2}', "$"),
    "NaN": ('{"a": NaN}', "$.a"),
    "Infinity": ("[1, -Infinity]", "$[1]"),
    "1e400": ('{"a": [1e400]}', "$.a[0]"),
    "1e65": ("1e65", "$"),
    "1e-65": ("1e-65", "$"),
    "1e200000": ("1e200000", "$"),
    "an exponent of a thousand digits": ("1e" + "9" * 1_000, "$"),
    "2^64": ("18446744073709551616", "$"),
    "one less than -2^63": ("[-9223372036854775809]", "$[0]"),
    "an integer of 5,000 digits": ("9" * 5_000, "$"),
    "digits that a double does not hold": ('{"pi": 0.10000000000000000001}', "$.pi"),
    "20,000 decimals": ("0." + "1" * 20_000, "$"),
    "a lone surrogate": ('{"a": "\\ud800"}', "$.a"),
    "a lone surrogate in a key": ('{"\\udc00": 1}', "$"),
    "U+0000": ('{"a": ["\\u0000"]}', "$.a[0]"),
    "U+0000 in a key": ('{"\\u0000": 1}', "$"),
    "a raw control character": ('"a\tb"', "$"),
    "65 levels": ("[" * 65 + "]" * 65, "$" + "[0]" * 64),
    "65 levels of objects": ('{"a":' * 65 + "1" + "}" * 65, "$" + ".a" * 64),
    "10,000 levels": ("[" * 10_000 + "]" * 10_000, None),
    "100,000 levels": ("[" * 100_000 + "]" * 100_000, None),
    "100,000 levels that do not end": ('[{"a":' * 100_000, None),
    "more than 1 MiB": ('"' + "x" * MIB + '"', "$"),
    "more than 1 MiB in UTF-8": ('"' + "é" * (MIB // 2) + '"', "$"),
}

SOLUTIONS = [
    Row(
        f"a solution with {what}",
        "Refine",
        refine_of(solution=json_document(text)),
        DOCUMENT,
        {"field": "drafts[0].solution"} | ({} if path is None else {"path": path}),
    )
    for what, (text, path) in TEXTS.items()
]


def number(value: float) -> vibe.Document:
    return vibe.Document(value=Value(number_value=value))


def value_document(raw: bytes) -> bytes:
    """A Refine with this google.protobuf.Value as solution."""
    good = refine_of(solution=vibe.Document(value=Value()))
    text = good.SerializeToString()
    assert text.endswith(b"\x4a\x02\x12\x00")  # solution { value {} }
    inner = b"\x12" + _length(raw) + raw
    solution = b"\x4a" + _length(inner) + inner
    good.drafts[0].ClearField("solution")
    draft = good.drafts[0].SerializeToString() + solution
    good.ClearField("drafts")
    return good.SerializeToString() + b"\x3a" + _length(draft) + draft


def _length(content: bytes) -> bytes:
    size = len(content)
    groups = [size >> shift & 0x7F for shift in range(0, max(size.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


FORMS = [
    Row("a Document without a form", "Refine", refine_of(solution=vibe.Document()), DOCUMENT, {"field": "drafts[0].solution", "path": "$"}),
    Row("a Value without a kind", "Refine", refine_of(context=vibe.Document(value=Value())), DOCUMENT, {"field": "drafts[0].context"}),
    Row("a Value with NaN", "Refine", refine_of(solution=number(float("nan"))), DOCUMENT, {"path": "$"}),
    Row("a Value with Infinity", "Refine", refine_of(solution=number(float("inf"))), DOCUMENT, {"path": "$"}),
    Row("a Value with 2^53", "Refine", refine_of(solution=number(2.0**53)), DOCUMENT, {"path": "$"}),
    Row("a Value with 1e-300", "Refine", refine_of(solution=number(1e-300)), DOCUMENT, {"path": "$"}),
    Row("a Value with U+0000", "Refine", refine_of(solution=vibe.Document(value=Value(string_value="\0"))), DOCUMENT, {"path": "$"}),
    Row("a Value of 60 levels, which protobuf cannot read", "Refine", value_document(nested_lists(60)), MALFORMED),
    Row("a Value of 10,000 levels", "Refine", value_document(nested_lists(10_000)), MALFORMED),
    Row("a bad context", "Refine", refine_of(context=json_document("{")), DOCUMENT, {"field": "drafts[0].context"}),
    Row("a bad schema", "Refine", refine_of(schema=json_document("{")), DOCUMENT, {"field": "drafts[0].schema"}),
    Row("a bad solution in the second draft", "Refine", refine(*refine_of().drafts, *refine_of(id="b", solution=json_document("{")).drafts), DOCUMENT, {"field": "drafts[1].solution"}),
    Row("a bad schema to resolve", "ResolveSchema", resolver.ResolveSchemaRequest(schema=json_document("{")), DOCUMENT, {"field": "schema"}),
    Row("a schema without a form", "ResolveSchema", resolver.ResolveSchemaRequest(schema=vibe.Document()), DOCUMENT, {"field": "schema"}),
    Row("a bad solution to validate", "ValidateSolution", resolver.ValidateSolutionRequest(reference="aug:/schemas/user", solution=json_document("[NaN]")), DOCUMENT, {"field": "solution", "path": "$[0]"}),
    Row("a bad schema to validate with", "ValidateSolution", resolver.ValidateSolutionRequest(schema=json_document("["), solution=document(1)), DOCUMENT, {"field": "schema"}),
    Row("a bad changed schema", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", schema=json_document("{")), DOCUMENT, {"field": "schema"}),
    Row("another document-form", "GetVibe", b"", FIELD, {"field": "document-form"}, sent=(("document-form", "xml"),)),
    Row("another document-form", "ResolveSchema", b"", FIELD, {"field": "document-form"}, sent=(("document-form", "JSON"),)),
]  # fmt: skip

INVALID = [
    Row("a solution that its schema refuses", "Refine", refine_of(schema=document({"$ref": "aug:/schemas/user"}), solution=document({"age": -1})), SOLUTION, {"field": "drafts[0].solution", "count": "1", "first": "/age: -1 is less than the minimum of 0"}),
    Row("an inherited solution that the new schema refuses", "Refine", refine_of(prototype_ref="aug:/records/typed", schema=document({"type": "string"})), SOLUTION, {"field": "drafts[0].solution"}),
    Row("a solution that the inherited schema refuses", "Refine", refine_of(prototype_ref="aug:/records/typed", solution=document({})), SOLUTION, {"field": "drafts[0].solution"}),
    Row("a solution with 20,000 faults", "Refine", refine_of(schema=document({"items": False}), solution=json_document("[" + ",".join(["1"] * 20_000) + "]")), SOLUTION, {"count": "20+"}),
    Row("a solution with a huge key at fault", "Refine", refine_of(schema=document({"additionalProperties": False}), solution=document({"k" * 500_000: 1})), SOLUTION, {"count": "1"}),
    Row("an answer with faults of a MiB", "ValidateSolution", resolver.ValidateSolutionRequest(schema=document({"properties": {"k": {"items": False}}, "additionalProperties": {"items": False}}), solution=document({"k" * 10_000: [1] * 300})), ANSWERED),
]  # fmt: skip

ROWS = SOLUTIONS + FORMS + INVALID
