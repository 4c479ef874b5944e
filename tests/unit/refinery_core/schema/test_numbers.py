"""Validators decide by all digits of 64-bit integers: in the schema, in the document, for each keyword."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from refinery_core.schema.validator import compile_schema
from refinery_core.vibe.documents import from_value

D6 = "http://json-schema.org/draft-06/schema#"
D7 = "http://json-schema.org/draft-07/schema#"
D19 = "https://json-schema.org/draft/2019-09/schema"
D20 = "https://json-schema.org/draft/2020-12/schema"

NUMBERS = (
    0, 3, 0.5, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1,
    -(2**53) + 1, -(2**53), -(2**53) - 1, -(2**63), -(2**63) + 1, 2.0**64, 1e20, -(2.0**63), -1e20,
)  # fmt: skip

Judge = Callable[[Fraction, Fraction], bool]
OF_SCALARS: dict[str, tuple[Callable[[Any], Any], Judge]] = {
    "maximum": (lambda a: {"maximum": a}, lambda a, b: b <= a),
    "minimum": (lambda a: {"minimum": a}, lambda a, b: b >= a),
    "exclusiveMaximum": (lambda a: {"exclusiveMaximum": a}, lambda a, b: b < a),
    "exclusiveMinimum": (lambda a: {"exclusiveMinimum": a}, lambda a, b: b > a),
    "const": (lambda a: {"const": a}, lambda a, b: a == b),
    "one in enum": (lambda a: {"enum": [a]}, lambda a, b: a == b),
    "enum": (lambda a: {"enum": [a, "x", {"b": 1}, 0.25]}, lambda a, b: a == b),
    "not": (lambda a: {"not": {"const": a}}, lambda a, b: a != b),
}


def exact(number: float) -> Fraction:
    """The meaning of a number in a document: a float is its shortest form."""
    return Fraction(Decimal(repr(number)))


def judged(schema: Any, instance: Any) -> bool:
    """As the services do it: both are documents, and the schema is compiled from its text."""
    validator = compile_schema(from_value(schema).text)
    return validator.is_valid(from_value(instance).value)


@pytest.mark.parametrize("dialect", [D6, D7, D19, D20])
@pytest.mark.parametrize("keyword", OF_SCALARS)
def test_a_keyword_judges_by_all_digits(keyword: str, dialect: str) -> None:
    write, judge = OF_SCALARS[keyword]
    for given in NUMBERS:
        validator = compile_schema(from_value({"$schema": dialect, **write(given)}).text)
        for number in NUMBERS:
            expected = judge(exact(given), exact(number))
            assert validator.is_valid(from_value(number).value) is expected, (given, number)


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 10, 0.5, 0.01, *(n for n in NUMBERS if n > 0)])
def test_multiple_of_divides_exactly(divisor: float) -> None:
    for number in NUMBERS:
        expected = (exact(number) / exact(divisor)).denominator == 1
        assert judged({"multipleOf": divisor}, number) is expected, number


@pytest.mark.parametrize("between", [0, 3, 40], ids=lambda count: f"{count} between")
def test_unique_items_and_contains_tell_numbers_apart(between: int) -> None:
    others = [f"s{at}" for at in range(between)]
    unique, objects = compile_schema({"uniqueItems": True}), compile_schema({"uniqueItems": True})
    for one in NUMBERS:
        contains = compile_schema(from_value({"contains": {"const": one}}).text)
        for other in NUMBERS:
            differ = exact(one) != exact(other)
            values = from_value([one, *others, other]).value
            assert unique.is_valid(values) is differ, (one, other)
            assert objects.is_valid([{"a": [each]} for each in values]) is differ, (one, other)
            assert contains.is_valid(from_value([*others, other]).value) is not differ


def test_numbers_deep_in_values_are_told_apart() -> None:
    for one in NUMBERS:
        for keyword in ({"const": {"a": [one]}}, {"enum": [{"a": [one]}, 1]}):
            validator = compile_schema(from_value(keyword).text)
            for other in NUMBERS:
                assert validator.is_valid(from_value({"a": [other]}).value) is (exact(one) == exact(other))


def test_what_is_integral_is_an_integer() -> None:
    for number in NUMBERS:
        assert judged({"type": "integer"}, number) is (exact(number).denominator == 1)
        assert judged({"type": "number"}, number)


def test_a_violation_shows_all_digits() -> None:
    (violation,) = compile_schema('{"maximum":9223372036854775807}').violations(9223372036854775808, 5)
    assert violation.message == "9223372036854775808 is greater than the maximum of 9223372036854775807"
