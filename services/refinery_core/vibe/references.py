"""Reads the references of a JSON Schema: those to other Vibes, and those that have to stay inside.

An object with `"$ref": "aug:…"` or `"$refOriginal": "aug:…?n"` refers to another Vibe's schema, but only
where a schema may stand (`keywords`). Pinning puts `"$refResolved": "<ref>"` beside it. Nothing is ever
fetched: every other reference leads to a place in its own document, or to a standard meta-schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from refinery_core.texts import cut
from refinery_core.vibe.keywords import (
    KEYWORDS,
    UNSEEN,
    Dialect,
    dialect,
    is_schema,
    members,
    schema_at,
)
from refinery_core.vibe.names import Names, Resource, SchemaFault
from refinery_core.vibe.pointers import escaped, read
from refinery_core.vibe.refs import SCHEME, AugUri, Ref, RefFault

__all__ = [
    "Reference",
    "SchemaFault",
    "SchemaReading",
    "dialect",
    "pin",
    "read_schema",
    "schema_at",
    "unpin",
]

REF, ORIGINAL, RESOLVED = "$ref", "$refOriginal", "$refResolved"

_LOCAL = (REF, "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference to another Vibe: its place, its text, and its pin, if it has one."""

    pointer: str
    key: str
    uri: AugUri
    written: str
    pinned: str | None

    @property
    def vibe(self) -> str:
        """Its text without the fragment: the key under which `pin` looks for its ref."""
        return self.written.partition("#")[0]


@dataclass(frozen=True, slots=True)
class SchemaReading:
    """The dialect and the references of a schema, in the order of the document."""

    dialect: Dialect
    references: tuple[Reference, ...]

    @property
    def unpinned(self) -> tuple[str, ...]:
        """The references to be pinned, each once, in the order of the document."""
        return tuple(dict.fromkeys(found.vibe for found in self.references if found.pinned is None))


def read_schema(schema: Any) -> SchemaReading:
    """Read a schema; raise SchemaFault for one that breaks a rule of references, dialects or names."""
    if not is_schema(schema):
        raise SchemaFault("", "a schema is an object or a boolean")
    reader = _Reader()
    if isinstance(schema, dict):
        reader.read_root(schema)
    return SchemaReading(dialect(schema), tuple(reader.references))


def pin(schema: Any, reading: SchemaReading, pins: Mapping[str, str]) -> Any:
    """The schema with a pin beside each reference that has none; `pins` maps `Reference.vibe` to a ref.

    The given schema is not changed; the parts that need no pin are shared with it.
    """
    open_ones = [found for found in reading.references if found.pinned is None]
    copy, objects = _copied(schema, [found.pointer for found in open_ones])
    for found, target in zip(open_ones, objects, strict=True):
        target[RESOLVED] = pins[found.vibe]
    return copy


def unpin(schema: Any, reading: SchemaReading) -> Any:
    """The schema without the pins beside its floating references; exact ones keep theirs."""
    floating = [found for found in reading.references if found.pinned is not None and found.uri.floats]
    copy, objects = _copied(schema, [found.pointer for found in floating])
    for target in objects:
        del target[RESOLVED]
    return copy


def _copied(schema: Any, pointers: Iterable[str]) -> tuple[Any, list[dict[str, Any]]]:
    """A copy that shares with the original all that is not on the way to a pointer, and the objects there."""
    copies: dict[str, Any] = {}
    targets = []
    root = schema
    for pointer in pointers:
        if "" not in copies:
            root = copies[""] = schema.copy()
        node, way = root, ""
        for token in read(pointer):
            way = f"{way}/{escaped(token)}"
            if way not in copies:
                key = int(token) if isinstance(node, list) else token
                copies[way] = node[key] = node[key].copy()
            node = copies[way]
        targets.append(node)
    return root, targets


class _Reader:
    """One walk from the root down, over every place where a schema stands."""

    def __init__(self) -> None:
        self.references: list[Reference] = []
        self.places = {""}
        self.names = Names()

    def read_root(self, schema: dict[str, Any]) -> None:
        root = self.names.enter_root(schema, dialect(schema))
        self._read_object(schema, "", root, seen=True)
        self.names.check(self.places)

    def _read(self, schema: Any, pointer: str, outer: Resource, *, seen: bool) -> None:
        self.places.add(pointer)
        if isinstance(schema, dict):
            resource = self.names.enter(schema, pointer, outer, seen=seen)
            self._read_object(schema, pointer, resource, seen=seen)

    def _read_object(self, schema: dict[str, Any], pointer: str, resource: Resource, *, seen: bool) -> None:
        self._read_references(schema, pointer, resource)
        for keyword, value in schema.items():
            if keyword in KEYWORDS:
                visible = seen and keyword not in UNSEEN[resource.dialect]
                for way, member, stands in members(keyword, value):
                    if stands:
                        self._read(member, pointer + way, resource, seen=visible)
                    else:
                        _refuse_pins({way.rpartition("/")[2]: member}, (pointer + way).rpartition("/")[0])
            elif keyword != RESOLVED:
                _refuse_pins(value, f"{pointer}/{escaped(keyword)}")

    def _read_references(self, schema: dict[str, Any], pointer: str, resource: Resource) -> None:
        for key in _LOCAL:
            value = schema.get(key)
            if isinstance(value, str) and not (key == REF and value.startswith(SCHEME)):
                self.names.use(f"{pointer}/{key}", value, resource)
        if ORIGINAL in schema:
            if REF in schema:
                raise SchemaFault(f"{pointer}/{ORIGINAL}", "$ref and $refOriginal cannot stand side by side")
            self.references.append(_reference(schema, pointer, ORIGINAL))
        elif isinstance(schema.get(REF), str) and schema[REF].startswith(SCHEME):
            self.references.append(_reference(schema, pointer, REF))
        elif RESOLVED in schema:
            _refuse_pins({RESOLVED: schema[RESOLVED]}, pointer)


def _reference(schema: dict[str, Any], pointer: str, key: str) -> Reference:
    written = schema[key]
    if not isinstance(written, str):
        raise SchemaFault(f"{pointer}/{key}", "it is an 'aug:' reference, a string")
    try:
        uri = AugUri.parse(written)
    except RefFault as fault:
        raise SchemaFault(
            f"{pointer}/{key}", f"'{cut(written)}' is not a reference: {fault.problem}"
        ) from None
    if key == ORIGINAL and uri.floats:
        raise SchemaFault(f"{pointer}/{key}", "a $refOriginal names a revision")
    if RESOLVED not in schema:
        return Reference(pointer, key, uri, written, None)
    return Reference(pointer, key, uri, written, _pinned(schema[RESOLVED], uri, f"{pointer}/{RESOLVED}"))


def _pinned(ref: object, uri: AugUri, path: str) -> str:
    if not isinstance(ref, str):
        raise SchemaFault(path, "a pin is a ref, a string")
    try:
        parsed = Ref.parse(ref)
    except RefFault as fault:
        raise SchemaFault(path, f"'{cut(ref)}' is not a ref: {fault.problem}") from None
    if parsed.id != uri.id or (uri.revision is not None and parsed.revision != uri.revision):
        raise SchemaFault(path, f"'{ref}' is not a version of what the reference beside it names")
    return ref


def _refuse_pins(data: Any, path: str) -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == RESOLVED and isinstance(value, str):
                _refuse_pin(f"{path}/{RESOLVED}")
            _refuse_pins(value, f"{path}/{escaped(key)}")
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _refuse_pins(value, f"{path}/{index}")


def _refuse_pin(path: str) -> NoReturn:
    raise SchemaFault(path, "a $refResolved stands only beside an 'aug:' reference")
