"""Which release this is: the one place where its number stands, and how two of them are ordered."""

from __future__ import annotations

import re
from typing import Final

VERSION: Final = "0.3.0"
"""The release that this is, or, between two releases, the next one."""

_NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def order(version: str) -> tuple[int, ...] | None:
    """Make a version something to compare: 0.10.0 is after 0.9.1; None where it is no version of ours."""
    numbers = _NUMBERS.fullmatch(version)
    return numbers and tuple(map(int, numbers.groups()))
