"""Suggestions for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 40


def suggestion(written: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest to a misspelt one, if any is near."""
    if len(written) > _LONGEST:
        return None
    near = difflib.get_close_matches(
        written.lower(), {word.lower(): word for word in known}, n=1, cutoff=0.65
    )
    return next((word for word in known if near and word.lower() == near[0]), None)
