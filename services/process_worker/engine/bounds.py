"""Limits on the size of data: values may share parts, and be far larger than they look."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final, TypeVar

from process_worker.engine.faults import standard
from refinery_core.vibe.documents import MAX_BYTES, MAX_DEPTH
from refinery_core.vibe.numbers import is_integer

MAX_SIZE: Final = 4 * MAX_BYTES
"""Characters, roughly those of its JSON."""
_SMALLEST: Final = 2
"""Characters of a value and of the comma after it."""

T = TypeVar("T")


def fitting(items: Iterable[T], limit: int) -> list[T]:
    """The first items whose JSON fits in the limit, in bytes."""
    found: list[T] = []
    for item in items:
        # Temporal's converter escapes letters beyond ASCII, too.
        limit -= len(json.dumps(item, default=asdict)) + 1
        if limit < 0:
            break
        found.append(item)
    return found


def measure(value: Any, at: str = "") -> int:
    """
    The size of data, in characters; `at` is the task to blame. The work is bounded for any data.

    Raises:
        Fault: the data is too large, too deep, or no JSON.
    """
    size, depth, level = 0, 0, [value]
    while level:
        below: list[Any] = []
        for item in level:
            size += _own_size(item, at)
            if size > MAX_SIZE:
                raise standard("runtime", f"the data is larger than {MAX_SIZE} characters", at)
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if below and (depth := depth + 1) > MAX_DEPTH:
            raise standard("runtime", f"the data has more than {MAX_DEPTH} levels", at)
        level = below
    return size


def _own_size(item: Any, at: str) -> int:
    if isinstance(item, str):
        return _SMALLEST + len(item if item.isascii() else _whole(item, at))
    if isinstance(item, dict):
        return _SMALLEST * (1 + len(item)) + sum(_own_size(key, at) - _SMALLEST for key in item)
    if isinstance(item, list):
        return _SMALLEST * (1 + len(item))
    if isinstance(item, int) and not is_integer(item):
        raise standard("runtime", "the data has a whole number of more than 64 bits", at)
    if item is None or isinstance(item, bool | int | float):
        return _SMALLEST
    raise standard("runtime", f"the data is no JSON: it has a {type(item).__name__}", at)


def _whole(text: str, at: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise standard("runtime", "the data is no JSON: it has a half of a character", at) from None
    return text
