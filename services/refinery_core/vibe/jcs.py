"""Plain JSON values to RFC 8785 bytes: orjson where it writes the same, the difference here.

orjson is some fifty times faster than a walk in Python, and writes the same bytes except for
the order of keys beyond U+FFFF (RFC 8785 sorts UTF-16 units) and the form of very large and very
small floats. Integers of up to 64 bits are written as their digits, also beyond 2^53, where RFC 8785 would
round them to doubles.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_HAS_ASTRAL = re.compile(rb"[\xf0-\xf4]").search


def spell(plain: Any, *, odd_float: bool) -> bytes:
    """The RFC 8785 bytes of a value without integral floats within 64 bits, NaN or infinities.

    `odd_float` says that it has a float outside ±[1e-5, 2^53). Raises TypeError for a string
    that is not Unicode.
    """
    out = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    if odd_float or (not out.isascii() and _HAS_ASTRAL(out)):
        return orjson.dumps(_spelled_out(plain))
    return out


def decimal(literal: str) -> tuple[str, int]:
    """The significant digits of a number literal, and the power of ten to multiply them with."""
    mantissa, _, power = literal.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    exponent = int(power or 0) - len(fraction) + len(digits) - len(significant)
    return (significant, exponent) if significant else ("0", 0)


def _spelled_out(value: Any) -> Any:
    """The same value with its keys in UTF-16 order and its floats in ECMAScript's form."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _spelled_out(value[key]) for key in keys}
    if isinstance(value, list):
        return [_spelled_out(item) for item in value]
    if isinstance(value, float):
        return orjson.Fragment(_ecmascript(value))
    return value


def _ecmascript(number: float) -> str:
    digits, exponent = decimal(repr(abs(number)))
    sign = "-" if number < 0 else ""
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * exponent}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
