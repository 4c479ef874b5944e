"""Numbers in documents, integers of 64 bits and doubles: their values, and whether a double loses digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from refinery_core.vibe.jcs import decimal

MIN_INTEGER: Final = -(1 << 63)
MAX_INTEGER: Final = (1 << 64) - 1
"""The smallest and the largest integer that are exact."""

DOUBLE_INTEGER: Final = (1 << 53) - 1
"""Up to here, and down to its negative, a double holds every integer and is the nearest to no other."""

_SURE_DIGITS = 18
_MOST_DIGITS = 20
_DOUBLE_DIGITS = 17
"""So many significant digits name any double, and no two doubles share them."""


def is_integer(value: int) -> bool:
    """Whether an integer is within 64 bits."""
    return MIN_INTEGER <= value <= MAX_INTEGER


def as_integer(literal: str) -> int | None:
    """The integer within 64 bits that a JSON number is, however it is written; None if it is none."""
    if len(literal) <= _SURE_DIGITS and literal.lstrip("-").isdigit():
        return int(literal)
    digits, power = decimal(literal)
    if power < 0 or len(digits) + power > _MOST_DIGITS:
        return None
    size = int(digits) * 10**power
    value = -size if literal.startswith("-") else size
    return value if is_integer(value) else None


def loses_digits(literal: str, number: float) -> bool:
    """Whether the double nearest to a JSON number is not all that its digits say.

    Seventeen significant digits only name a double; more have to be its exact value.
    """
    return len(decimal(literal)[0]) > _DOUBLE_DIGITS and Decimal(literal) != Decimal(number)
