"""The effort of validating: the looks that a schema takes at one value, and at a document of some shape."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from refinery_core.vibe.keywords import KEYWORDS, members
from refinery_core.vibe.references import REF

IN_PLACE: Final = frozenset({
    "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then",
})  # fmt: skip
"""Keywords whose schemas see the value itself."""

_REFERENCES = frozenset({REF, "$dynamicRef", "$recursiveRef"})
NOT_APPLIED: Final = frozenset({"$defs", "contentSchema", "definitions"})
"""Keywords whose schemas apply to nothing unless something refers to them."""

ONE_OF_OBJECT: Final = ("additionalProperties", "properties")
OF_OBJECT: Final = ("patternProperties", "propertyNames", "unevaluatedProperties")
ONE_OF_ARRAY: Final = ("additionalItems", "items", "prefixItems")
OF_ARRAY: Final = ("contains", "unevaluatedItems")
"""Keywords whose schemas see members of the value; of `ONE_OF_…` only one sees the same member."""

_FEW = 4


@dataclass(frozen=True, slots=True)
class Effort:
    """The most looks of a schema at one value, by the level on which the value stands.

    Deeper levels are like the last one, unless it `grows`: then, or without levels, they are not known.
    """

    looks: tuple[int, ...]
    grows: bool

    @property
    def few(self) -> bool:
        """Whether the looks are so few, on every level, that no document could make them too many."""
        return not self.grows and max(self.looks) <= _FEW

    def most(self, levels: list[int]) -> tuple[float, float]:
        """The most looks at a document with so many values on each level: at all of it, and at one value."""
        if self.grows and len(levels) > len(self.looks):
            return math.inf, math.inf
        each = [*self.looks, *itertools.repeat(self.looks[-1], len(levels) - len(self.looks))][: len(levels)]
        return sum(map(operator.mul, levels, each)), max(each)


def weigh(document: Any) -> tuple[list[int], int]:
    """The number of values of a document on each level, and roughly its bytes."""
    levels, size, level = [], 0, [document]
    while level:
        levels.append(len(level))
        size += 8 * len(level)
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                size += len(value)
            elif isinstance(value, list):
                below += value
            elif isinstance(value, dict):
                below += value.values()
                size += sum(map(len, value))
        level = below
    return levels, size


def own_looks(schema: Any) -> int:
    """The cost of one look: more than one where a value is compared with objects and arrays."""
    given = schema.get("enum") if isinstance(schema, dict) else None
    return 1 + sum(isinstance(value, dict | list) for value in given) if isinstance(given, list) else 1


def inner(schema: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """The schemas that apply where this one does: keyword, way, and schema."""
    for keyword in sorted((KEYWORDS - NOT_APPLIED) & schema.keys()):
        for way, member, stands in members(keyword, schema[keyword]):
            if stands:
                yield keyword, way, member


def is_leaf(schema: Any) -> bool:
    """Whether a schema leads to no other."""
    return not isinstance(schema, dict) or (
        schema.keys().isdisjoint(_REFERENCES) and next(inner(schema), None) is None
    )


def descents(schema: dict[str, Any]) -> Ways:
    """The ways to the schemas of members of a value, by what they have in common."""
    found: dict[str, list[str]] = {}
    for keyword, way, _ in inner(schema):
        if keyword not in IN_PLACE:
            found.setdefault(keyword, []).append(way)
    return Ways(
        _of(found, *ONE_OF_OBJECT), _of(found, *OF_OBJECT), _of(found, *ONE_OF_ARRAY), _of(found, *OF_ARRAY)
    )


class Ways(NamedTuple):
    """Of `one_…` only one applies to a member; of the others all may."""

    one_of_object: list[str]
    of_object: list[str]
    one_of_array: list[str]
    of_array: list[str]

    def most(self, looks: Callable[[str], int]) -> int:
        """The looks at one member, given by `looks` for each way."""
        in_objects = max(map(looks, self.one_of_object), default=0) + sum(map(looks, self.of_object))
        in_arrays = max(map(looks, self.one_of_array), default=0) + sum(map(looks, self.of_array))
        return max(in_objects, in_arrays)


def _of(found: dict[str, list[str]], *keywords: str) -> list[str]:
    return [way for keyword in keywords for way in found.get(keyword, ())]
