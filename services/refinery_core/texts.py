"""Texts, cut to what a message has room for."""

from __future__ import annotations

from typing import Final

REPEATED: Final = 100
"""Characters of what was sent, where a message repeats it."""


def cut(text: str, most: int = REPEATED) -> str:
    """A text of so many characters at the most; a longer one ends in "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut_bytes(text: str, most: int) -> str:
    """A text of so many bytes of UTF-8 at the most; a longer one ends in "…"."""
    raw = text.encode(errors="backslashreplace")
    return raw.decode() if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "…"
