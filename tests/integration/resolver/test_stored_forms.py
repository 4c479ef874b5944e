"""The resolved forms of a schema never change by a byte: three forms of a dozen refs against stored bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import orjson

from refinery_client import SchemaForm
from tests.cases.large import cyclonedx
from tests.integration.conftest import Services

STORED: Final = Path(__file__).parents[2] / "cases" / "forms.json"
"""By ref: SHA-256 of what ResolveSchema answers in each form, and of its lists. It only grows."""

DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"

AUTHORED: Final[dict[str, Any]] = {
    "plain": {"type": "object", "properties": {"é": {"const": 1.50}, "a": {"maximum": 10}}},
    "floats": {"$ref": "aug:/plain", "required": ["a"]},
    "exact": {"items": {"$refOriginal": "aug:/plain?1", "title": "beside"}},
    "fragment": {"properties": {"p": {"$ref": "aug:/plain#/properties/%C3%A9"}}},
    "diamond": {"allOf": [{"$ref": "aug:/floats"}, {"$ref": "aug:/exact"}, {"$ref": "aug:main@plain?1"}]},
    "recursive": {
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    },
    "guest-of-recursion": {"anyOf": [{"$ref": "aug:/recursive"}, {"$ref": "aug:/recursive#/$defs/node"}]},
    "dynamic": {"$dynamicAnchor": "here", "items": {"$dynamicRef": "#here"}},
    "old": {"$schema": DRAFT_7, "$ref": "aug:/plain"},
    "old-with-definitions": {
        "$schema": DRAFT_7,
        "definitions": {"x": {"$ref": "aug:/old"}},
        "items": {"$ref": "#/definitions/x"},
    },
    "mixed": {
        "$id": "https://example.org/mixed",
        "prefixItems": [{"$ref": "aug:/old-with-definitions#/definitions/x"}, {"$ref": "aug:/dynamic"}],
    },
    "anchored": {"$defs": {"x": {"$anchor": "here", "type": "string"}}, "items": {"$ref": "#here"}},
    "guest-of-anchors": {"anyOf": [{"$ref": "aug:/anchored"}, {"$ref": "aug:/anchored#/$defs/x"}]},
    "parts": {
        "$id": "https://example.org/whole",
        "$defs": {"p/q": {"$id": "part", "items": {"$ref": "#/$defs/r"}, "$defs": {"r": {"minimum": 1}}}},
        "properties": {"z": {"$ref": "part"}, "a": {"$ref": "/whole"}},
    },
    "guest-of-parts": {"properties": {"bb": {"$ref": "aug:/parts"}, "a": {"$ref": "aug:/parts#/$defs/p~1q"}}},
    "always": True,
    "out-of-order": {
        "properties": {
            "zz": {"$ref": "aug:/always"},
            "a10": {"$ref": "aug:/plain"},
            "b": {"$ref": "aug:/exact"},
        },
        "anyOf": [{"$ref": "aug:/guest-of-parts"}, {"$ref": "aug:main@plain?1"}],
    },
    "data": {"properties": {"$ref": {"enum": [{"$ref": "aug:/nowhere"}]}, "x": {"$ref": "aug:/mixed"}}},
}


async def resolved(services: Services) -> dict[str, dict[str, str]]:
    """Refine all of them, and say what each resolves to."""
    refs = [await services.record(id_, schema=schema) for id_, schema in AUTHORED.items()]
    for ref, schema in cyclonedx("1.6").items():
        refs.append(await services.record(ref.removeprefix("main@").removesuffix("?1"), schema=schema))
    digests: dict[str, dict[str, str]] = {}
    for ref in refs:
        answers = {form: await services.refinery.resolve_schema(ref, form=form) for form in SchemaForm}
        digests[ref] = {form: _digest(answer.text.encode()) for form, answer in answers.items()}
        lists = {orjson.dumps([answer.pins, answer.dependencies, answer.ref]) for answer in answers.values()}
        digests[ref] |= {"lists": "".join(map(_digest, lists))}
    return digests


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_every_form_of_every_ref_has_the_bytes_that_it_always_had(services: Services) -> None:
    assert await resolved(services) == orjson.loads(STORED.read_bytes())
