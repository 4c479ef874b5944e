from __future__ import annotations

import pytest

from refinery_core.schema.patterns import count_patterns
from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.references import SchemaFault

RUN_AWAY_TOGETHER = {
    "letters": [rf"[\p{{L}}{n}]{{1,60}}" for n in range(200)],
    "repetitions of repetitions": [f"(a{{1,99}}K{n}){{1,9}}" for n in range(800)],
    "thousands of letters": [rf"[\p{{L}}{n}]{{1,60}}" for n in range(2_000)],
}
REAL = {
    "one long": [r"^\S{1,400}$"],
    "lengths": [f"^[A-Za-z0-9{n}.-]{{1,64}}$" for n in range(100)],
    "words": [rf"^[^\s{n}]+(\s[^\s]+)*$" for n in range(600)],
    "extensions": [f"^x-{n}" for n in range(5_000)],
}


@pytest.mark.parametrize("what", RUN_AWAY_TOGETHER)
@pytest.mark.parametrize("place", ["patternProperties", "pattern"])
def test_patterns_that_are_small_one_by_one_are_refused_where_they_are_large_together(
    what: str, place: str
) -> None:
    patterns = RUN_AWAY_TOGETHER[what]
    if place == "patternProperties":
        schema: dict[str, object] = {place: dict.fromkeys(patterns, True)}
    else:
        schema = {"anyOf": [{place: pattern} for pattern in patterns]}
    with pytest.raises(SchemaFault, match="in all patterns of a schema together"):
        compile_schema(schema)


@pytest.mark.parametrize("what", REAL)
def test_patterns_of_real_schemas_are_taken(what: str) -> None:
    assert compile_schema({"patternProperties": dict.fromkeys(REAL[what], True)}).is_valid({"a": 1})


def test_patterns_are_counted_wherever_they_stand() -> None:
    schema = {"pattern": "a", "$defs": {"x": {"patternProperties": {"b": {"pattern": "c"}, "d": {}}}}}
    assert count_patterns(schema) == 4
    assert count_patterns(True) == 0
