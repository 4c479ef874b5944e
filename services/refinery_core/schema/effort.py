"""How much looking a schema can ask of a validator, read off the schema alone, before any document is seen.

A diamond of references doubles the looks at one value each time; alternatives that all lead into the same
member double the looks at each level of the document.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import KEYWORDS, escaped, members
from refinery_core.vibe.references import REF, SchemaFault
from refinery_core.vibe.refs import RefFault, pointer_tokens

MOST_LOOKS = 100_000

IN_PLACE: Final = frozenset({
    "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then",
})  # fmt: skip
"""Keywords whose schemas see the value itself."""

_REFERENCES = frozenset({REF, "$dynamicRef", "$recursiveRef"})
_NOT_APPLIED = frozenset({"$defs", "contentSchema", "definitions"})
_DEEPEST = 64
_FEW = 4
_UNEVALUATED = frozenset({"unevaluatedItems", "unevaluatedProperties"})


@dataclass(frozen=True, slots=True)
class Effort:
    """How often a schema may look at one value, by the level on which the value stands.

    Deeper it is as on the last level, unless it `grows`: then, or if there are no levels, it cannot be told.
    """

    looks: tuple[int, ...]
    grows: bool

    @property
    def few(self) -> bool:
        """Whether it is so little, on every level, that no document could make it too much."""
        return not self.grows and max(self.looks) <= _FEW

    def most(self, levels: list[int]) -> tuple[float, float]:
        """The most looks at a document with so many values on each level: at all of it, and at one value."""
        if self.grows and len(levels) > len(self.looks):
            return math.inf, math.inf
        each = [*self.looks, *itertools.repeat(self.looks[-1], len(levels) - len(self.looks))][: len(levels)]
        return sum(map(operator.mul, levels, each)), max(each)


def estimate(bundle: Any) -> Effort:
    """What a schema may cost; SchemaFault where one value is looked at more than 100,000 times.

    Only what applies to the value itself counts for that, not what applies to its members.
    """
    graph = _Graph()
    graph.add(bundle, "", "")
    return graph.estimate()


def weigh(document: Any) -> tuple[list[int], int]:
    """How many values a document holds on each level, and roughly how many bytes."""
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
    """What one look costs by itself: more than one where a value is compared with objects and arrays."""
    given = schema.get("enum") if isinstance(schema, dict) else None
    return 1 + sum(isinstance(value, dict | list) for value in given) if isinstance(given, list) else 1


def inner(schema: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """The schemas that apply where this one does: keyword, way, and schema."""
    for keyword in sorted((KEYWORDS - _NOT_APPLIED) & schema.keys()):
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
        _of(found, "additionalProperties", "properties"),
        _of(found, "patternProperties", "propertyNames", "unevaluatedProperties"),
        _of(found, "additionalItems", "items", "prefixItems"),
        _of(found, "contains", "unevaluatedItems"),
    )


class Ways(NamedTuple):
    """Of `one_…` only one applies to a member; of the others all may."""

    one_of_object: list[str]
    of_object: list[str]
    one_of_array: list[str]
    of_array: list[str]

    def most(self, looks: Callable[[str], int]) -> int:
        """How often one member is looked at, where `looks` says it for a way."""
        in_objects = max(map(looks, self.one_of_object), default=0) + sum(map(looks, self.of_object))
        in_arrays = max(map(looks, self.one_of_array), default=0) + sum(map(looks, self.of_array))
        return max(in_objects, in_arrays)


def _of(found: dict[str, list[str]], *keywords: str) -> list[str]:
    return [way for keyword in keywords for way in found.get(keyword, ())]


class _Graph:
    """The places of a bundle where a schema stands, and from each those that see the same value."""

    def __init__(self) -> None:
        self._inner: dict[str, list[str]] = {}
        self._schemas: dict[str, Any] = {}
        self._outer: list[tuple[str, str, str]] = []
        self._named = {"": ""}
        self._untold = False

    def add(self, schema: Any, place: str, address: str) -> None:
        inner_ = self._inner[place] = []
        self._schemas[place] = schema
        if not isinstance(schema, dict):
            return
        address = self._add_names(schema, place, address)
        for keyword in KEYWORDS & schema.keys():
            for way, member, stands in members(keyword, schema[keyword]):
                if stands:
                    self.add(member, place + way, address)
                    if keyword in IN_PLACE:
                        inner_.append(place + way)

    def _add_names(self, schema: dict[str, Any], place: str, address: str) -> str:
        if isinstance(id_ := schema.get("$id"), str):
            address, anchor = resolve_address(address, id_)
            self._named[f"{address}#{anchor}" if anchor else address] = place
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := schema.get(key), str):
                self._named[f"{address}#{name}"] = place
        for key in (REF, "$dynamicRef"):
            if isinstance(target := schema.get(key), str):
                self._outer.append((place, address, target))
        self._untold |= not {"$dynamicRef", "$recursiveRef"}.isdisjoint(schema)
        return address

    def estimate(self) -> Effort:
        for place, address, reference in self._outer:
            if (target := self._target(address, reference)) in self._inner:
                self._inner[place].append(target)
        order = self._order()
        if max(self._summed(order, dict.fromkeys(order, 1)).values()) > MOST_LOOKS:
            problem = f"it would look at one value more than {MOST_LOOKS:,} times; combine fewer references"
            raise SchemaFault("", problem)
        return Effort((), grows=True) if self._untold else self._by_level(order)

    def _by_level(self, order: list[str]) -> Effort:
        """Level by level, each at least as much as the one above, until nothing changes any more."""
        ways = {
            place: Ways(*([place + way for way in ways] for ways in descents(schema)))
            for place, schema in self._schemas.items()
            if not is_leaf(schema)
        }
        sums = self._summed(order, {place: own_looks(self._schemas[place]) for place in order})
        looks = [sums[""]]
        while len(looks) < _DEEPEST:
            below = self._summed(order, {place: each.most(sums.__getitem__) for place, each in ways.items()})
            deeper = {place: max(sums[place], below[place]) for place in order}
            if deeper == sums:
                return Effort(tuple(looks), grows=False)
            if max(deeper.values()) > MOST_LOOKS:
                break
            looks.append(deeper[""])
            sums = deeper
        return Effort(tuple(looks), grows=True)

    def _order(self) -> list[str]:
        """The places, each after those it leads to; a way that comes back to itself ends there."""
        order: dict[str, None] = {}
        open_places: set[str] = set()
        for start in self._inner:
            todo = [] if start in order else [(start, iter(self._inner[start]))]
            open_places.update(place for place, _ in todo)
            while todo:
                place, rest = todo[-1]
                following = next(rest, None)
                if following is None:
                    todo.pop()
                    open_places.discard(place)
                    order[place] = None
                elif following in open_places:
                    self._untold = True
                elif following not in order:
                    open_places.add(following)
                    todo.append((following, iter(self._inner[following])))
        return list(order)

    def _summed(self, order: list[str], own: dict[str, int]) -> dict[str, int]:
        """What each place and those it leads to come to.

        `unevaluated…` asks all of them again what they have seen, and they those below them.
        """
        sums: dict[str, int] = {}
        asked: dict[str, int] = {}
        for place in order:
            below = [inner_ for inner_ in self._inner[place] if inner_ in sums]
            total = own.get(place, 0) + sum(sums[inner_] for inner_ in below)
            asked[place] = total + sum(asked[inner_] for inner_ in below)
            schema = self._schemas[place]
            again = isinstance(schema, dict) and not _UNEVALUATED.isdisjoint(schema)
            sums[place] = total + asked[place] if again else total
        return sums

    def _target(self, address: str, reference: str) -> str | None:
        absolute, fragment = resolve_address(address, reference)
        if fragment and not fragment.startswith("/"):
            return self._named.get(f"{absolute}#{fragment}")
        root = self._named.get(absolute)
        try:
            return (
                None if root is None else root + "".join(f"/{escaped(t)}" for t in pointer_tokens(fragment))
            )
        except RefFault:
            return None
