from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_core.schema.effort import weigh
from refinery_core.schema.looks import estimate
from refinery_core.schema.meter import is_within
from refinery_core.schema.validator import compile_schema

D7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
HERE = {"$ref": "#/$defs/n"}
LEFT = {"properties": {"a": HERE}}


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


def recursive(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"$defs": {"n": schema}, **HERE, **more}


def acyclic(depth: int, keyword: str) -> dict[str, Any]:
    defs: dict[str, Any] = {f"s{depth}": {"type": "string"}}
    for level in range(depth):
        below = {"properties": {"a": {"$ref": f"#/$defs/s{level + 1}"}}}
        defs[f"s{level}"] = {keyword: [below, below]}
    return {"$defs": defs, "$ref": "#/$defs/s0"}


def round_in_place(count: int) -> dict[str, Any]:
    defs = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{k}"} for k in range(count) if k != i]} for i in range(count)
    }
    return {"$defs": defs, "$ref": "#/$defs/d0"}


BOMBS: dict[str, tuple[Any, Any]] = {
    "alternatives without memory": (acyclic(60, "anyOf"), nested(60, {})),
    "alternatives without memory, draft-07": ({**acyclic(60, "anyOf"), **D7}, nested(60, {})),
    "one of": (acyclic(60, "oneOf"), nested(60, {})),
    "all of": (acyclic(60, "allOf"), nested(60, "x")),
    "round in place": (round_in_place(12), 5),
    "an enum of objects": ({"items": {"enum": [{"a": i} for i in range(3000)]}}, [{"a": 2999}] * 10_000),
}

BOUNDED: dict[str, tuple[Any, Any, bool]] = {
    "both need": (
        recursive({"anyOf": [{**LEFT, "required": ["x"]}, {**LEFT, "required": ["y"]}]}),
        {},
        False,
    ),
    "both fail": (recursive({"anyOf": [LEFT, LEFT], "minProperties": 1}), {}, False),
    "all": (recursive({"allOf": [LEFT, LEFT], "type": "object"}), {}, True),
    "one": (recursive({"oneOf": [LEFT, {**LEFT, "required": ["z"]}]}), 5, False),
    "unevaluated": (recursive({"anyOf": [LEFT, LEFT], "unevaluatedProperties": HERE}), 5, True),
    "dynamic": (
        {"$dynamicAnchor": "n", "allOf": [{"properties": {"a": {"$dynamicRef": "#n"}}}] * 2},
        5,
        True,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_that_would_be_looked_at_too_often_is_refused_soon(name: str) -> None:
    schema, document = BOMBS[name]
    validator = compile_schema(schema)
    begin = time.process_time()
    (found,) = validator.violations(document, 20)
    assert "more than 500,000 times" in found.message
    assert not validator.is_valid(document)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("name", BOUNDED)
def test_recursion_that_only_looks_exponential_is_decided(name: str) -> None:
    schema, leaf, expected = BOUNDED[name]
    begin = time.process_time()
    found = compile_schema(schema).violations(nested(60, leaf), 20)
    assert (not found) is expected
    assert not any("more than" in each.message for each in found)
    assert time.process_time() - begin < 2


def test_a_tagged_union_of_ten_kinds_takes_a_large_tree() -> None:
    kinds = [f"k{i}" for i in range(10)]
    alternatives = [
        {"properties": {"kind": {"const": kind}, "left": HERE, "right": HERE}, "required": ["kind"]}
        for kind in kinds
    ]
    validator = compile_schema(recursive({"oneOf": alternatives}))

    def tree(depth: int) -> dict[str, Any]:
        below = {"left": tree(depth - 1), "right": tree(depth - 1)} if depth else {}
        return {"kind": kinds[depth % 10], **below}

    assert validator.violations(tree(14), 20) == ()
    assert validator.violations({"kind": "k0", "left": {"kind": "no"}}, 20)


def test_large_flat_documents_are_not_counted() -> None:
    validator = compile_schema({"items": {"anyOf": [{"type": "string"}] * 20 + [{"type": "integer"}]}})
    assert validator.violations(list(range(200_000)), 20) == ()


def test_unevaluated_inside_unevaluated_asks_again_and_is_counted() -> None:
    schema: Any = {"properties": {"a": True}}
    for _ in range(8):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    validator = compile_schema(schema)
    counted = next(
        n for n in (1 << k for k in range(30)) if is_within(n, validator._counting.is_valid, {"a": 1})
    )
    assert 100 < counted < 2 * estimate(schema).most([1, 1])[0]


LEAVES = st.sampled_from([True, {"type": "object"}, {"required": ["b"]}, {"const": {}}, {"enum": [{}, 1]}])
COMPOSED = st.sampled_from(["allOf", "anyOf", "oneOf"])
SINGLE = st.sampled_from(["not", "items", "contains", "additionalProperties"])
PLACES = st.recursive(
    LEAVES | st.sampled_from([HERE, {"$ref": "#/$defs/m"}]),
    lambda inner: st.one_of(
        st.builds(lambda key, parts: {key: parts}, COMPOSED, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda key, part: {key: part}, SINGLE, inner),
        st.builds(lambda a, b: {"properties": {"a": a, "b": b}, "unevaluatedProperties": a}, inner, inner),
    ),
    max_leaves=8,
)
DOCUMENTS = st.recursive(
    st.sampled_from([1, "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(n=PLACES, m=PLACES, document=DOCUMENTS)
def test_counting_changes_no_answer_and_never_exceeds_the_estimate(n: Any, m: Any, document: Any) -> None:
    schema = {"$defs": {"n": n, "m": m}, **HERE}
    validator = compile_schema(schema)
    answers: list[bool] = []
    assert is_within(1 << 60, lambda it: answers.append(validator._counting.is_valid(it)), document)
    assert answers == [validator._compiled.is_valid(document)]
    most = estimate(schema).most(weigh(document)[0])[0]
    if most <= 100_000:
        # A counter is charged for leaves that may not be asked, hence twice the estimate.
        assert is_within(2 * int(most), validator._counting.is_valid, document)
