"""Counts the looks of a validator at a document, by a copy of the schema that gives up after too many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from refinery_core.schema.effort import IN_PLACE, descents, inner, is_leaf, own_looks
from refinery_core.vibe.keywords import KEYWORDS, NAMED, Dialect, dialect, members
from refinery_core.vibe.references import REF

COUNTED: Final = "refinery:looks"
"""The keyword that counts."""


class _Account(threading.local):
    left = 0


_ACCOUNT = _Account()


class _TooManyError(Exception):
    """More looks than were granted."""


class Counter:
    """The keyword that the library calls for each look: takes it off, and fails once nothing is left.

    A failure does not stop the library; but each further look fails as well, so that validation soon
    ends.
    """

    def __init__(self, _schema: object, charge: list[int], _path: object) -> None:
        self._once, self._each = charge

    def validate(self, instance: Any) -> None:
        """Take off one look at a value, and those at its members by schemas that count nothing."""
        members_ = len(instance) if isinstance(instance, dict | list) else 0
        _ACCOUNT.left -= self._once + self._each * members_
        if _ACCOUNT.left < 0:
            raise _TooManyError


def is_within(most: int, work: Callable[[Any], object], document: Any) -> bool:
    """Whether validation by a counting copy looks at values no more than so often."""
    _ACCOUNT.left = most
    work(document)
    return _ACCOUNT.left >= 0


def counting(schema: Any, outer: Dialect = Dialect.DRAFT_2020_12) -> Any:
    """A copy of a bundle that accepts the same, and counts.

    Each schema that leads to others counts before these: validators take `allOf` before the other
    compositions, references and `unevaluated…`; earlier keywords end at their first failure.
    """
    if not isinstance(schema, dict):
        return schema
    own = dialect(schema) if "$schema" in schema else outer
    copy = {keyword: _copied(keyword, value, own) for keyword, value in schema.items() if keyword != COUNTED}
    if is_leaf(schema) and own_looks(schema) == 1:
        return copy
    look = {COUNTED: [_once(schema), descents(schema).most(lambda _way: 1)]}
    if own is Dialect.DRAFT_07 and REF in schema:
        # In draft-07 no keyword beside a reference applies.
        return copy if KEYWORDS & schema.keys() else {"allOf": [look, {REF: schema[REF]}]}
    after = [{"enum": copy.pop("enum")}] if own_looks(schema) > 1 else []
    return {**copy, "allOf": [*copy.get("allOf", ()), look, *after]}


def _copied(keyword: str, value: Any, own: Dialect) -> Any:
    if keyword not in KEYWORDS:
        return value
    parts = [counting(member, own) if stands else member for _, member, stands in members(keyword, value)]
    if keyword in NAMED and isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return parts if isinstance(value, list) else parts[0]


def _once(schema: dict[str, Any]) -> int:
    leaves = (member for keyword, _, member in inner(schema) if keyword in IN_PLACE and is_leaf(member))
    return own_looks(schema) + sum(1 for _ in leaves)
