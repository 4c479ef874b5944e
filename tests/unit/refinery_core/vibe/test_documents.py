from __future__ import annotations

import json
import math
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from refinery_core.vibe.documents import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    DocumentFault,
    canonical,
    from_value,
    parse,
    restore,
    sendable,
)
from refinery_core.vibe.numbers import DOUBLE_INTEGER, MAX_INTEGER, MIN_INTEGER
from tests.cases.numbers import BIG, EXPONENT, INEXACT, KEPT, REFUSED

characters = st.characters(codec="utf-8", exclude_characters="\0")
strings = st.text(
    characters | st.sampled_from('\u20ac\ue000\uffff\U0001f600\U00010000\x7f\x1f\\"/u0'), max_size=8
)
integers = st.integers(-DOUBLE_INTEGER, DOUBLE_INTEGER)
edges = [
    edge + near
    for edge in (2**53, -(2**53), 2**60, 2**63, 2**64 - 3, MIN_INTEGER + 2)
    for near in range(-2, 3)
]
long_integers = st.sampled_from(edges) | st.integers(MIN_INTEGER, MAX_INTEGER)
ordinary_floats = st.floats(-1e64, 1e64).filter(lambda f: f == 0 or abs(f) >= 1e-64)
floats = ordinary_floats | st.builds(
    lambda digits, power: float(f"{digits}e{power}"), st.integers(-(10**17), 10**17), st.integers(-60, 46)
)


def documents_of(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | numbers | strings,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


values = documents_of(integers | floats)
"""RFC 8785 knows these."""

wide_values = documents_of(integers | long_integers | floats)


def stored(text: str) -> str:
    """The text as JSONB prints it: spaces after commas and colons, numbers all digits."""
    return printed(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def printed(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {printed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(printed, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)


# --- Canonical form ---------------------------------------------------------------------------


@given(values)
@example({"\U0001f600": 1, "\ue000": 2, "\uffff": 3})
@example([1e21, 1e20, 5.9e-6, 1e-7, 123456789012345680.0, 9007199254740992.0, -0.0, 1.0, 1.5e-10, 1e-6])
@example(["\\u0000", '\x7f\x80\u2028\u2029\x01\b\t\n\f\r"\\/'])
def test_canonical_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(wide_values)
def test_what_was_written_is_read_back(value: Any) -> None:
    document = parse(json.dumps(value))
    assert document == from_value(value)
    assert document.value == from_value(value).value
    assert parse(sendable(document.text)) == document
    assert parse(json.dumps(value, ensure_ascii=False, indent=2).encode()) == document


@given(wide_values)
def test_canonical_text_is_its_own_canonical_text(value: Any) -> None:
    text = from_value(value).text
    assert restore(text).text == text
    assert from_value(restore(text).value).text == text


@given(wide_values)
def test_what_jsonb_prints_gives_the_same_canonical_text(value: Any) -> None:
    text = from_value(value).text
    assert restore(stored(text)).text == text


@given(long_integers)
def test_an_integer_of_64_bits_is_its_digits_however_it_is_written(number: int) -> None:
    literals = [str(number), f"{number}.0", f"{number}e0", f"{number * 100}e-2", f"{Decimal(number):e}"]
    for literal in literals:
        document = parse(literal)
        assert (document.text, document.value, type(document.value)) == (str(number), number, int)
    assert (
        sendable(str(number)) == from_value(number).text == restore(stored(str(number))).text == str(number)
    )


@given(long_integers.filter(lambda number: abs(number) > DOUBLE_INTEGER), st.integers(1, 9))
def test_a_fraction_beside_an_integer_beyond_doubles_is_refused(number: int, digit: int) -> None:
    with pytest.raises(DocumentFault, match=INEXACT):
        parse(f"{number}.0{digit}")


@given(floats)
@example(1e-64)
@example(9.99e64)
def test_a_double_is_kept_however_it_is_printed(number: float) -> None:
    for literal in (repr(number), f"{number:.16e}", f"{number:.17g}", f"{Decimal(number):f}"):
        integral = number.is_integer() and MIN_INTEGER <= int(Decimal(literal)) <= MAX_INTEGER
        try:
            kept = parse(literal)
        except DocumentFault as fault:
            assert fault.problem in {BIG, EXPONENT}  # noqa: PT017
            assert literal.lstrip("-").isdigit() or literal.endswith("e-65")
        else:
            assert kept.text == (str(int(Decimal(literal))) if integral else from_value(number).text)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_float_is_written_as_ecmascript_does_or_refused(number: float) -> None:
    if number == 0 or 1e-64 <= abs(number) < 1e65:
        assert canonical(number) == rfc8785.dumps(number)
    else:
        with pytest.raises(DocumentFault):
            canonical(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *KEPT.items(),
        (' {"b" : 1 , "a" : [ true , null ] } ', '{"a":[true,null],"b":1}'),
        ('"\\u00e9\\ud83d\\ude00\\/"', '"é😀/"'),
        ('"\\\\u0000"', '"\\\\u0000"'),
        ("null", "null"),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
    ],
)
def test_one_value_has_one_text(text: str, expected: str) -> None:
    assert parse(text).text == expected
    assert parse(text.encode()) == Document(None, expected)


def test_a_float_means_what_its_shortest_form_says() -> None:
    assert from_value(2.0**60).text == "1152921504606847000" == parse(json.dumps(2.0**60)).text
    assert from_value(2.0**63).value == 9223372036854776000
    assert type(from_value(2.0**64).value) is float


def test_integral_floats_become_integers() -> None:
    value = parse("[1.0, 1e2, -0.0, 1.5, 1e20]").value
    assert value == [1, 100, 0, 1.5, 1e20]
    assert [type(item) for item in value] == [int, int, int, float, float]
    assert math.copysign(1, value[2]) == 1


# --- Refusals ---------------------------------------------------------------------------------

DEEP = "it has more than 64 levels"
NUL = "a string or key contains U+0000"
SURROGATE = "a string or key contains a lone surrogate"


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("", "$", "it is empty; the JSON for nothing is null"),
        (b"", "$", "it is empty; the JSON for nothing is null"),
        ("  ", "$", "it is not JSON at line 1, column 3: Expecting value"),
        ("\ufeff1", "$", "it starts with a byte order mark"),
        (b"\xef\xbb\xbf1", "$", "it starts with a byte order mark"),
        (b'{"a": [1, "\xff"]}', "$.a[1]", "it is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "$.a", "it is not UTF-8"),
        ('{"a": [1, 2,, 3]}', "$.a[2]", "it is not JSON at line 1, column 13: Expecting value"),
        ('{"a": {"b c": ?}}', '$.a["b c"]', "it is not JSON at line 1, column 15: Expecting value"),
        ("1 2", "$", "it is not JSON at line 1, column 3: Extra data"),
        ("[01]", "$[0]", "it is not JSON at line 1, column 3: Expecting ',' delimiter"),
        ("'a'", "$", "it is not JSON at line 1, column 1: Expecting value"),
        ('{"items": [{"name": 1, "name": 2}]}', "$.items[0]", "the key 'name' occurs twice"),
        ('{"a": 1, "\\u0061": 2}', "$", "the key 'a' occurs twice"),
        ('{"\\ud800": 1, "\\ud800": 2}', "$", "the key '\\ud800' occurs twice"),
        ('{"a": NaN}', "$.a", "NaN is not JSON"),
        ("[1, Infinity]", "$[1]", "Infinity is not JSON"),
        ("-Infinity", "$", "-Infinity is not JSON"),
        *((literal, "$", problem) for literal, problem in REFUSED.items()),
        ('{"a": [18446744073709551616]}', "$.a[0]", BIG),
        ('{"a": ["\\u0000"]}', "$.a[0]", NUL),
        ('{"a": {"b\\u0000": 1}}', "$.a", NUL),
        ('"\0"', "$", "it is not JSON at line 1, column 2: Invalid control character at"),
        ('{"a": ["\\ud800"]}', "$.a[0]", SURROGATE),
        ('["\\udc00\\ud800"]', "$[0]", SURROGATE),
        ('{"a": {"\\udfff": 1}}', "$.a", SURROGATE),
        ('["\ud800"]', "$[0]", SURROGATE),
        ("[" * 65 + "]" * 65, "$" + "[0]" * 64, DEEP),
        ('{"a":' * 65 + "1" + "}" * 65, "$" + ".a" * 64, DEEP),
        ("[" * 100_000, "$" + "[0]" * 65, DEEP),
        ('[1,{"a":' * 50_000, "$" + "[1].a" * 32 + "[0]", DEEP),
        ('"' + "a" * MAX_BYTES + '"', "$", f"it has more than {MAX_BYTES} bytes"),
        ('"' + "é" * (MAX_BYTES // 2) + '"', "$", f"it has more than {MAX_BYTES} bytes"),
        (b" " * MAX_BYTES + b"1", "$", f"it has more than {MAX_BYTES} bytes"),
        ("[" + "1e20," * (MAX_BYTES // 6) + "1]", "$", f"it has more than {MAX_BYTES} bytes"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_with_its_path(
    text: str | bytes, path: str, problem: str
) -> None:
    with pytest.raises(DocumentFault) as refused:
        parse(text)
    assert (refused.value.path, refused.value.problem) == (path, problem)
    str(refused.value).encode()


def test_the_longest_document_is_one_mebibyte() -> None:
    text = '"' + "a" * (MAX_BYTES - 2) + '"'
    assert parse(text).text == text


@given(st.text() | st.binary())
@example('{"":"\\')
@example('[{"a\\')
@example('["\ud800')
@example('{"a\ud800":1,')
def test_any_text_is_a_document_or_a_fault(text: str | bytes) -> None:
    accepted_or_refused(text)


@given(values.map(json.dumps), st.data())
def test_any_damage_to_a_document_is_a_document_or_a_fault(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    upto = data.draw(st.integers(at, min(len(text), at + 3)))
    junk = data.draw(st.text(st.sampled_from('[]{},:"\\u0dE+-.eNtn 19') | st.characters(), max_size=4))
    accepted_or_refused(text[:at] + junk + text[upto:])


def accepted_or_refused(text: str | bytes) -> None:
    try:
        document = parse(text)
    except DocumentFault as fault:
        assert fault.path.startswith("$")  # noqa: PT017 - most texts are refused, some are not
        assert fault.problem.encode()  # noqa: PT017
        return
    assert restore(document.text).text == document.text == parse(sendable(document.text)).text


@pytest.mark.parametrize(
    "text",
    ['\\"' * 300_000, '"' * 600_001, '{"a":' * 100_000, "[" * 500_000, '["' + "\\" * 900_000],
    ids=["escapes", "quotes", "objects", "brackets", "backslashes"],
)
def test_hostile_text_is_refused_at_once(text: str) -> None:
    with pytest.raises(DocumentFault):
        parse(text)


# --- Python values ----------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


def test_python_values_become_plain_json() -> None:
    document = from_value({"b": (1.0, 2.5), "a": Colour.RED, "c": Size.LARGE, "d": True})
    assert document.text == '{"a":"red","b":[1,2.5],"c":3,"d":true}'
    assert type(document.value["a"]) is str
    assert type(document.value["c"]) is int
    assert type(document.value["b"]) is list


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"a": [b"x"]}, "$.a[0]", "a Python bytes is not JSON"),
        ({"a": Decimal(1)}, "$.a", "a Python Decimal is not JSON"),
        ({"a": {1: 2}}, "$.a", "a key is a Python int, not a str"),
        ([2**64], "$[0]", BIG),
        ([-(2**63) - 1], "$[0]", BIG),
        ([10**400], "$[0]", BIG),
        ([float("nan")], "$[0]", "nan is not JSON"),
        ([float("-inf")], "$[0]", "-inf is not JSON"),
        ([1e65], "$[0]", EXPONENT),
        ([5e-324], "$[0]", EXPONENT),
        (["a", "\0"], "$[1]", NUL),
        ({"\ud800": 1}, "$", SURROGATE),
        ({"\ud800": [b""]}, '$["\\ud800"][0]', "a Python bytes is not JSON"),
    ],
)
def test_python_values_that_are_not_json_are_refused_with_their_path(
    value: object, path: str, problem: str
) -> None:
    for take in (from_value, canonical):
        with pytest.raises(DocumentFault) as refused:
            take(value)
        assert (refused.value.path, refused.value.problem) == (path, problem)


def test_a_python_value_that_contains_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(DocumentFault, match=DEEP):
        from_value(ring)


def test_an_integer_that_a_double_may_have_rounded_is_refused() -> None:
    assert from_value({"a": float(DOUBLE_INTEGER)}, through_doubles=True).text == f'{{"a":{DOUBLE_INTEGER}}}'
    with pytest.raises(DocumentFault) as refused:
        from_value({"a": float(2**53 + 1)}, through_doubles=True)
    assert refused.value.path == "$.a"


def test_a_value_that_was_given_is_never_changed() -> None:
    value = {"b": [1.0, {"c": -0.0}], "a": 1e21}
    from_value(value)
    assert repr(value) == "{'b': [1.0, {'c': -0.0}], 'a': 1e+21}"


def test_what_was_answered_can_be_sent_back() -> None:
    for text in (*KEPT, "[1e20,1e+21]", '{"a":-1.5e22,"b":"1234567890123456789"}', "[0.1]"):
        kept = parse(text)

        sent_again = parse(sendable(kept.text))

        assert kept.text == sent_again.text
