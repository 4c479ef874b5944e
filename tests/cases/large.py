"""Large schemas: with many definitions, as FHIR and CycloneDX have them, or with many guests."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from refinery_core.vibe.keywords import Dialect
from refinery_core.vibe.references import RESOLVED, pin, read_schema

WORDS = "what a member of this kind of thing is for, said at the length at which people say it"


def definitions(size: int, *, dense: bool, dialect: Dialect = Dialect.DRAFT_2020_12) -> dict[str, Any]:
    """A schema of about `size` bytes of JSON. If it is dense, each definition reaches all others."""
    found: dict[str, Any] = {}
    left, number = size, 0
    while left > 0:
        found[f"kind{number}"] = _definition(number, dense=dense)
        left -= len(json.dumps(found[f"kind{number}"], separators=(",", ":"))) + 10
        number += 1
    found["any"] = {"oneOf": [{"$ref": f"#/$defs/kind{n}"} for n in range(0, number, 10)]}
    return {
        "$schema": str(dialect),
        "$id": "https://example.org/large",
        "$ref": "#/$defs/any",
        "$defs": found,
    }


def _definition(number: int, *, dense: bool) -> dict[str, Any]:
    members: dict[str, Any] = {"kind": {"const": f"kind{number}"}}
    for place in range(3 + number % 7):
        earlier = (number * 7 + place * 13) % (number + 1) if dense else number - number % 12 + place
        link = {"$ref": f"#/$defs/kind{min(earlier, number)}"}
        members[f"member{place}"] = (
            {"description": WORDS, "type": "string", "pattern": "^[^ ]+( [^ ]+)*$"},
            link,
            {"description": WORDS, "type": "array", "items": link},
            {"description": WORDS, "enum": ["one", "two", number]},
        )[(number + place) % 4]
    if dense:
        members["contained"] = {"type": "array", "items": {"$ref": "#/$defs/any"}}
    return {
        "description": WORDS,
        "type": "object",
        "required": ["kind"],
        "properties": members,
        "additionalProperties": False,
    }


def dependents(count: int, ref: str, fragment: str = "#/$defs/kind{}") -> dict[str, Any]:
    """Pinned schemas by ref, each pointing into one of `definitions`."""
    target = "aug:/" + ref.partition("@")[2].partition("?")[0]
    return {
        f"main@dependent/{number}?1": {
            "title": f"dependent {number}",
            "properties": {"part": {"$ref": target + fragment.format(number), RESOLVED: ref}},
        }
        for number in range(count)
    }


def many_guests(count: int) -> dict[str, Any]:
    """Pinned schemas by ref: a number of small ones, some of which refer to the first, and one over all."""
    vibes: dict[str, Any] = {"main@few/0?1": {"type": "integer", "$defs": {"x": {"minimum": 1}}}}
    for number in range(1, count):
        first = {"$ref": "aug:/few/0#/$defs/x", RESOLVED: "main@few/0?1"}
        vibes[f"main@few/{number}?1"] = {"not": first} if number % 3 == 0 else {"minLength": number}
    parts = [{"$ref": f"aug:/few/{n}", RESOLVED: f"main@few/{n}?1"} for n in range(count)]
    return {**vibes, "main@over/all?1": {"anyOf": parts}}


def cyclonedx(version: str) -> dict[str, Any]:
    """The real schemas of SBOMs, pinned, by ref; the last refers to all of them."""
    ids = {"spdx": "spdx", "jsf": "jsf-0.82", "cryptography-defs": "cryptography-defs"}
    text = _cyclonedx_file(f"bom-{version}")
    for id_, name in ids.items():
        text = text.replace(f"{name}.SNAPSHOT.schema.json", f"aug:/{id_}")
    bom = json.loads(text)
    vibes: dict[str, Any] = {f"main@{id_}?1": json.loads(_cyclonedx_file(name)) for id_, name in ids.items()}
    vibes["main@bom?1"] = pin(bom, read_schema(bom), {f"aug:/{id_}": f"main@{id_}?1" for id_ in ids})
    return {**vibes, "main@sbom?1": {"$ref": "aug:/bom", RESOLVED: "main@bom?1"}}


def _cyclonedx_file(name: str) -> str:
    return (files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8")
