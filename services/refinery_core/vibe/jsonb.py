"""Prints JSON as PostgreSQL prints JSONB: the text of composed schemas, and the size that bounds them.

Shorter keys come first, a space follows each comma and colon, and a number has no exponent. In an answer,
numbers beyond 64 bits get theirs back, so that they can be sent again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring as _quoted
from typing import Any

from refinery_core.vibe.numbers import as_integer

_HAS_EXPONENT = re.compile("[0-9]e[+-][0-9]").search
_STRING_OR_DIGITS = re.compile(r'"(?:[^"\\]++|\\.)*+"|(?<![0-9.])-?[0-9]{19,}(?![0-9.])')
_HAS_DIGITS = re.compile("[0-9]{19}").search


def answerable(text: str) -> str:
    """JSON text with floats for integers beyond 64 bits: JSONB prints 1e21 as 22 digits, which is refused."""
    return _STRING_OR_DIGITS.sub(_shorter, text) if _HAS_DIGITS(text) else text


def printed(value: Any) -> str:
    """A JSON value as `answerable` leaves what JSONB prints of it."""
    return _printed(value, _answerable_float)


def printed_size(value: Any) -> int:
    """The number of bytes that JSONB prints of a JSON value."""
    text = json.dumps(value, ensure_ascii=False)
    if _HAS_EXPONENT(text):
        text = _printed(value, _plain_float)
    return len(text) if text.isascii() else len(text.encode())


def _shorter(found: re.Match[str]) -> str:
    text = found[0]
    return text if text[0] == '"' or as_integer(text) is not None else repr(float(text))


def _printed(value: Any, spell: Callable[[float], str]) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=_order)
        return "{" + ", ".join([f"{_quoted(key)}: {_printed(value[key], spell)}" for key in keys]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([_printed(item, spell) for item in value]) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return spell(value) if isinstance(value, float) else json.dumps(value)


def _order(key: str) -> tuple[int, bytes]:
    spelled = key.encode()
    return len(spelled), spelled


def _answerable_float(number: float) -> str:
    return repr(number) if number.is_integer() else _plain_float(number)


def _plain_float(number: float) -> str:
    return format(Decimal(repr(number)), "f")
