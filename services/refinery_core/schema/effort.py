"""How often a schema makes a validator look at one value: a diamond of references doubles it each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import KEYWORDS, escaped, members
from refinery_core.vibe.references import REF, SchemaFault
from refinery_core.vibe.refs import RefFault, pointer_tokens

MOST_LOOKS = 100_000

_IN_PLACE = frozenset({
    "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then",
})  # fmt: skip


def count_looks(bundle: Any) -> int:
    """How often one value is looked at, at the most; SchemaFault where it is more than 100,000 times.

    Only what applies to the value itself is counted, not what applies to its members.
    """
    graph = _Graph()
    graph.add(bundle, "", "")
    looks = graph.count_looks()
    if looks > MOST_LOOKS:
        problem = f"it would look at one value more than {MOST_LOOKS:,} times; combine fewer references"
        raise SchemaFault("", problem)
    return looks


def weigh(document: Any) -> tuple[int, int]:
    """How many values a document holds, and roughly how many bytes."""
    values, size, todo = 0, 0, [document]
    while todo:
        value = todo.pop()
        values += 1
        size += len(value) if isinstance(value, str) else 8
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
            size += sum(map(len, value))
    return values, size


class _Graph:
    """The places of a bundle where a schema stands, and from each those that see the same value."""

    def __init__(self) -> None:
        self._inner: dict[str, list[str]] = {}
        self._outer: list[tuple[str, str, str]] = []
        self._named = {"": ""}

    def add(self, schema: Any, place: str, address: str) -> None:
        inner = self._inner[place] = []
        if not isinstance(schema, dict):
            return
        address = self._add_names(schema, place, address)
        for keyword in KEYWORDS & schema.keys():
            for way, member, stands in members(keyword, schema[keyword]):
                if stands:
                    self.add(member, place + way, address)
                    if keyword in _IN_PLACE:
                        inner.append(place + way)

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
        return address

    def count_looks(self) -> int:
        """The most that any place makes; a way that comes back to itself ends there, as in validators."""
        for place, address, reference in self._outer:
            if (target := self._target(address, reference)) in self._inner:
                self._inner[place].append(target)
        looks: dict[str, int] = {}
        for start in self._inner:
            way: list[tuple[str, Iterator[str]]] = []
            if start not in looks:
                looks[start] = 1
                way.append((start, iter(self._inner[start])))
            open_places = {start}
            while way:
                place, rest = way[-1]
                following = next(rest, None)
                if following is None:
                    way.pop()
                    open_places.discard(place)
                    if way:
                        looks[way[-1][0]] += looks[place]
                elif following in looks:
                    looks[place] += 0 if following in open_places else looks[following]
                else:
                    looks[following] = 1
                    open_places.add(following)
                    way.append((following, iter(self._inner[following])))
        return max(looks.values())

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
