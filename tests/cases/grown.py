"""Compositions that grow from a number: Vibes of all dialects that refer to each other in every way there is.

The same number gives the same Vibes on every machine, so that their bundles can be stored.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from refinery_core.vibe.keywords import Dialect
from refinery_core.vibe.pointers import escaped, written
from refinery_core.vibe.references import ORIGINAL, REF, RESOLVED, SchemaFault, read_schema, schema_at

KEYS = ("a", "b/c", "d~e", "ü", "€uro", "properties", "$ref", "k%", "z" * 12)
NUMBERS = (0, 7, -1.5, 1e-7, 2.5e-30, 1e17, 1e21, 123456789.25, 9007199254740991)
ADDRESS = "https://example.org/schemas/"
Schema = dict[str, Any]


def composition(seed: int) -> dict[str, Any]:
    """Pinned schemas by ref, each referring to earlier ones; the last is the one to ask about."""
    chance = random.Random(seed)
    vibes: dict[str, Any] = {}
    while len(vibes) < 2 + int(chance.random() * 4):
        schema = _Author(chance, vibes).write()
        try:
            read_schema(schema)
        except SchemaFault:
            continue  # It gave two places one name, or a name where its dialect sees none.
        vibes[f"main@g/{len(vibes)}?1"] = schema
    return vibes


def instances(seed: int, count: int) -> list[Any]:
    """Documents of a few levels, by keys that the schemas speak of."""
    chance = random.Random(seed)
    return [_instance(chance, 3) for _ in range(count)]


def _instance(chance: random.Random, levels: int) -> Any:
    kind = int(chance.random() * (6 if levels else 4))
    if kind < 4:
        return (None, "some text", 3, 1e17)[kind]
    if kind == 4:
        return [_instance(chance, levels - 1) for _ in range(int(chance.random() * 3))]
    return {_of(chance, KEYS): _instance(chance, levels - 1) for _ in range(int(chance.random() * 4))}


def _of(chance: random.Random, options: Any) -> Any:
    return options[int(chance.random() * len(options))]


class _Author:
    """Writes one schema over what there is already."""

    def __init__(self, chance: random.Random, vibes: Mapping[str, Any]) -> None:
        self._chance = chance
        self._vibes = vibes
        self._dialect = _of(chance, list(Dialect))
        self._names = 0
        self._calm = chance.random() < 0.6
        """Whether nothing is dynamic, and references lead only to complete parts: no cycle."""
        self._places: list[str] = []
        self._complete: list[str] = []

    def write(self) -> Any:
        if self._chance.random() < 0.05:
            return self._chance.random() < 0.5
        schema = self._schema("", 3)
        container = _of(self._chance, ("$defs", "definitions"))
        for key in KEYS[:3]:
            way = f"/{container}/{escaped(key)}"
            schema.setdefault(container, {})[key] = self._schema(way, 2)
        if self._dialect is not Dialect.DRAFT_2020_12 or self._chance.random() < 0.5:
            schema["$schema"] = str(self._dialect)
        if self._chance.random() < 0.4:
            schema["$id"] = ADDRESS + "root"
        return schema

    def _schema(self, place: str, levels: int) -> Any:
        self._places.append(place)
        if place and self._chance.random() < 0.1:
            return self._chance.random() < 0.8
        schema: Schema = {}
        for _ in range(1 + int(self._chance.random() * 3)):
            schema |= _of(self._chance, self._WORDS)(self, place, levels)
        self._complete.append(place)
        return schema

    def _about_values(self, _place: str, _levels: int) -> Schema:
        words: Schema = _of(
            self._chance,
            (
                {"type": _of(self._chance, ("object", "string", "number", "array"))},
                {"minimum": _of(self._chance, NUMBERS)},
                {"const": _of(self._chance, ({REF: "aug:/x", "$id": "no"}, 1e17, '\u0001\u007f"\\/\n'))},
                {"enum": [_of(self._chance, NUMBERS), {"a": 1}, [REF], "some text"]},
                {"required": [_of(self._chance, KEYS)]},
                {"title": _of(self._chance, KEYS), "default": {RESOLVED: None, "$defs": {}}},
            ),
        )
        return words

    def _members(self, place: str, levels: int) -> Schema:
        if not levels:
            return {"maxProperties": 3}
        keys = {_of(self._chance, KEYS): None for _ in range(2)}
        found = {key: self._schema(f"{place}/properties/{escaped(key)}", levels - 1) for key in keys}
        return {"properties": found}

    def _one(self, place: str, levels: int) -> Schema:
        keywords = (
            "additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames",
            "unevaluatedProperties", "contentSchema", "additionalItems",
        )  # fmt: skip
        keyword = _of(self._chance, keywords)
        return {keyword: self._schema(f"{place}/{keyword}", levels - 1) if levels else True}

    def _many(self, place: str, levels: int) -> Schema:
        keyword = _of(self._chance, ("allOf", "anyOf", "oneOf", "prefixItems"))
        count = 1 + int(self._chance.random() * 2) if levels else 0
        parts = [self._schema(f"{place}/{keyword}/{n}", levels - 1) for n in range(count)]
        return {keyword: [*parts, True]}

    def _local(self, _place: str, _levels: int) -> Schema:
        if self._calm:
            return {REF: "#" + _of(self._chance, self._complete)} if self._complete else {}
        root = _of(self._chance, ("#", "#" + _of(self._chance, self._places), ADDRESS + "root", "", "#name"))
        return {REF: root}

    def _dynamic(self, _place: str, _levels: int) -> Schema:
        if self._calm:
            return {}
        if self._dialect is Dialect.DRAFT_2020_12:
            return _of(self._chance, ({"$dynamicRef": "#name"}, {"$dynamicAnchor": "name"}))  # type: ignore[no-any-return]
        return {"$recursiveRef": "#"}

    def _named(self, place: str, _levels: int) -> Schema:
        self._names += 1
        if not place:
            return {}
        if self._dialect is Dialect.DRAFT_07:
            return {"$id": _of(self._chance, ("#name", f"inner{self._names}"))}
        return _of(self._chance, ({"$anchor": "name"}, {"$id": f"inner{self._names}"}))  # type: ignore[no-any-return]

    def _guest(self, _place: str, _levels: int) -> Schema:
        if not self._vibes:
            return {}
        ref = _of(self._chance, list(self._vibes))
        id_ = ref.removeprefix("main@").removesuffix("?1")
        fragment = self._fragment(self._vibes[ref])
        if self._chance.random() < 0.3:
            return {ORIGINAL: f"aug:/{id_}?1{fragment}", RESOLVED: ref}
        return {REF: f"aug:/{id_}{fragment}", RESOLVED: ref}

    def _fragment(self, guest: Any) -> str:
        options: list[tuple[str, ...]] = [()]
        if isinstance(guest, dict):
            options += [
                (keyword, key)
                for keyword in ("$defs", "definitions", "properties")
                for key in guest.get(keyword, {})
                if schema_at(guest, (keyword, key)) is not None
            ]
        tokens = _of(self._chance, options)
        pointer = written(tokens)
        return (
            "#" + pointer.replace("%", "%25").replace("ü", "%C3%BC").replace("€", "%E2%82%AC")
            if tokens
            else ""
        )

    _WORDS: tuple[Callable[[_Author, str, int], Schema], ...] = (
        _about_values, _about_values, _members, _members, _one, _many, _local, _dynamic, _named,
        _guest, _guest, _guest,
    )  # fmt: skip
