"""Checks cron expressions: five fields, as Temporal reads them."""

from __future__ import annotations

import re

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_IS_PART = re.compile(r"(?:\*|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(?:/([1-9][0-9]?))?").fullmatch


def cron_problem(text: str) -> str | None:
    """The mistake in a cron expression, as a phrase; None if there is none."""
    fields = text.split(" ")
    if len(fields) != len(_FIELDS):
        return f"a cron expression has five fields, such as '0 9 * * MON', not {len(fields)}"
    for field, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in field.upper().split(","):
            if not _is_part(part, low, high, names):
                return f"'{field[:40]}' is no {name} of a cron expression"
    if fields[2] != "*" and fields[4] != "*":
        # Temporal fires on days that match both, other crons on days that match either.
        return "a cron expression names either days of the month or of the week, and leaves the other at '*'"
    return None


def _is_part(part: str, low: int, high: int, names: list[str]) -> bool:
    match = _IS_PART(part)
    if match is None:
        return False
    numbers = [_number(text, low, names) for text in match.groups()[:2] if text is not None]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


def _number(text: str, low: int, names: list[str]) -> int:
    if text.isdigit():
        return int(text)
    return names.index(text) + low if text in names else -1
