from __future__ import annotations

import time
from typing import Any

import pytest

from refinery_core.schema.looks import estimate
from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.references import SchemaFault


def diamond(levels: int, keyword: str = "allOf") -> dict[str, Any]:
    parts: dict[str, Any] = {"p0": {"type": "object"}}
    for level in range(1, levels + 1):
        parts[f"p{level}"] = {keyword: [{"$ref": f"#/$defs/p{level - 1}"}, {"$ref": f"#/$defs/p{level - 1}"}]}
    return {"$ref": f"#/$defs/p{levels}", "$defs": parts}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_diamond_of_references_that_would_run_for_ever_is_refused_at_once(keyword: str) -> None:
    begin = time.process_time()
    with pytest.raises(SchemaFault, match="more than 100,000 times"):
        compile_schema(diamond(1000, keyword))
    assert time.process_time() - begin < 1


def test_a_small_diamond_is_fine() -> None:
    assert compile_schema(diamond(10)).is_valid({})


def test_a_diamond_over_documents_anchors_and_ids_is_seen_too() -> None:
    parts: dict[str, Any] = {"aug:main@p/0?1": {"$id": "aug:main@p/0?1", "$anchor": "top"}}
    for level in range(1, 40):
        below = f"aug:main@p/{level - 1}?1"
        parts[f"aug:main@p/{level}?1"] = {
            "$id": f"aug:main@p/{level}?1", "$anchor": "top", "$ref": below, "not": {"$ref": f"{below}#top"},
        }  # fmt: skip
    with pytest.raises(SchemaFault):
        estimate({"$id": "aug:main@r?1", "$ref": "aug:main@p/39?1", "$defs": parts})


def test_recursion_and_long_ways_are_no_diamonds() -> None:
    estimate({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "items": {"$ref": "#"}})
    estimate({"anyOf": [{"$ref": "#"}, {"not": {"$ref": "#"}}]})
    estimate({"$defs": {f"p{n}": {"$ref": f"#/$defs/p{n + 1}"} for n in range(20_000)}, "$ref": "#/$defs/p0"})
    estimate(True)
