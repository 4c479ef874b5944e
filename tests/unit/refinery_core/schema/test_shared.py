from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refinery_core.schema.shared import NOTHING_SHARED, Shared, to_share
from refinery_core.schema.validator import Validator, compile_composition, compile_schema
from refinery_core.vibe.references import SchemaFault
from tests.cases import grown
from tests.cases.composition import CASES, Case
from tests.support.composing import bundle, compose


def validators(vibes: dict[str, Any]) -> list[Validator]:
    """Of the whole bundle as text, of the same in parts, and of one that shares all its guests."""
    composed = compose(vibes)
    return [
        compile_schema(bundle(vibes, stored=False)),
        compile_composition(composed.root, composed.guests, NOTHING_SHARED),
        compile_composition(composed.root, composed.guests, Shared(to_share(composed.guests, 0))),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shared_guests_accept_and_refuse_what_the_bundle_does(case: Case) -> None:
    for validator in validators(case.pinned):
        assert all(validator.is_valid(instance) for instance in case.accepts)
        assert not any(validator.is_valid(instance) for instance in case.refuses)


@given(st.integers(0, 1 << 32))
def test_shared_guests_and_the_whole_bundle_give_one_verdict(seed: int) -> None:
    vibes = grown.composition(seed)
    assume(all(is_schema(vibes, ref) for ref in vibes))  # What is no schema by itself is never stored.
    whole, *others = validators(vibes)
    for instance in grown.instances(seed, 8):
        assert [each.violations(instance, 20) for each in others] == [whole.violations(instance, 20)] * 2


def test_looks_are_counted_in_shared_guests_too() -> None:
    defs: dict[str, Any] = {"s60": {"type": "string"}}
    for level in range(60):
        below = {"properties": {"a": {"$ref": f"#/$defs/s{level + 1}"}}}
        defs[f"s{level}"] = {"anyOf": [below, below]}
    vibes = {
        "main@guest?1": {"$defs": defs, "$ref": "#/$defs/s0"},
        "main@root?1": {"$ref": "aug:/guest", "$refResolved": "main@guest?1"},
    }
    document: Any = {}
    for _ in range(60):
        document = {"a": document}
    for validator in validators(vibes):
        (found,) = validator.violations(document, 20)
        assert "more than 500,000 times" in found.message


def is_schema(vibes: dict[str, Any], ref: str) -> bool:
    refs = list(vibes)
    try:
        compile_schema(bundle({r: vibes[r] for r in refs[: refs.index(ref) + 1]}))
    except SchemaFault:
        return False
    return True
