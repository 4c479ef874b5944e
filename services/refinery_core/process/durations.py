"""Reads durations, in both of their forms, as milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_MILLISECONDS = 100 * 365 * 24 * 60 * 60 * 1_000

UNITS = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000, "milliseconds": 1}
"""The members of the object form, in milliseconds."""

_NUMBER = r"([0-9]{1,18}(?:\.[0-9]{1,9})?)"
_IS_ISO = re.compile(
    rf"P(?=[0-9T])(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
).fullmatch
_ISO_UNITS = (604_800_000, 86_400_000, 3_600_000, 60_000, 1_000)


class DurationFault(ValueError):  # noqa: N818 - an error is a refusal; this names what is wrong in a text
    """A value that is no duration; `problem` is a phrase for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def read_duration(written: str | Mapping[str, Any]) -> int:
    """
    Read an ISO 8601 duration, or days, hours, minutes, seconds and milliseconds as whole numbers.

    Returns:
        Milliseconds.

    Raises:
        DurationFault: It is no duration, or longer than a hundred years.
    """
    total = _read_iso(written) if isinstance(written, str) else _read_members(written)
    if total > MAX_MILLISECONDS:
        raise DurationFault("it is longer than a hundred years")
    return total


def _read_iso(text: str) -> int:
    match = _IS_ISO(text)
    if match is None:
        if re.fullmatch(r"P.*[YM].*|P.*Y.*", text.partition("T")[0]):
            raise DurationFault("years and months have no fixed length; write days")
        raise DurationFault("it is not an ISO 8601 duration such as PT1H30M")
    total = sum(
        Decimal(number) * unit for number, unit in zip(match.groups(), _ISO_UNITS, strict=True) if number
    )
    if total % 1:
        raise DurationFault("it is finer than a millisecond")
    return int(total)


def _read_members(members: Mapping[str, Any]) -> int:
    if not members:
        raise DurationFault("it is empty; it has days, hours, minutes, seconds or milliseconds")
    total = 0
    for unit, number in members.items():
        if unit in ("years", "months"):
            raise DurationFault("years and months have no fixed length; write days")
        if unit not in UNITS:
            raise DurationFault(f"a duration has no '{unit[:40]}', but {', '.join(UNITS)}")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise DurationFault(f"'{unit}' needs to be a whole number from 0 on")
        total += number * UNITS[unit]
    return total
