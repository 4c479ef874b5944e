"""Paths in JSON documents, as people write them: `$.items[3].name`."""

from __future__ import annotations

import json
import re

from refinery_core.texts import cut

_SHOWN = 80
_PLAIN_KEY = re.compile(rf"[A-Za-z_$][\w$-]{{0,{_SHOWN - 1}}}", re.ASCII).fullmatch

# An unterminated string runs to the end: that keeps the scan linear on hostile text.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def step(key: str | int) -> str:
    """One key or index as a part of a path."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _PLAIN_KEY(key) else f'["{shown(key)}"]'


def shown(key: str) -> str:
    """A key as a person can read it and UTF-8 can carry it, cut to 80 characters."""
    short = cut(key, _SHOWN)
    return json.dumps(short, ensure_ascii=not short.isprintable())[1:-1]


def path_to(text: str, end: int, max_depth: int) -> tuple[str, int]:
    """The path of the value at `end` of a JSON text, and its depth.

    The text need not be JSON from there on. The walk stops at the first value deeper than `max_depth`.
    """
    keys: list[str | int | None] = []
    for match in _STRUCTURE.finditer(text, 0, end):
        part = match.group()
        if part in {"[", "{"}:
            keys.append(0 if part == "[" else None)
            if len(keys) > max_depth:
                break
        elif not keys:
            continue
        elif part in {"]", "}"}:
            keys.pop()
        elif part == ",":
            keys[-1] = keys[-1] + 1 if isinstance(keys[-1], int) else None
        elif keys[-1] is None:
            keys[-1] = _key(part)
    return "$" + "".join(step(key) for key in keys if key is not None), len(keys)


def _key(literal: str) -> str:
    try:
        key: str = json.loads(literal)
    except ValueError:
        return literal[1:]
    return key
