"""Bundles schemas: a pinned schema and all that it is composed from as one compound document.

Each document becomes a resource whose `$id` is `aug:<ref>`, whatever its author's was, and every reference
between them leads to one of those. Any standard validator reads the bundle.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import (
    KEYWORDS,
    MANY,
    NAMED,
    ONE,
    Dialect,
    dialect,
    dialect_named,
    members,
)
from refinery_core.vibe.pointers import as_fragment
from refinery_core.vibe.references import ORIGINAL, REF, RESOLVED

UNSTORED: Final = "aug:unstored"
"""The `$id` of a root that is not stored. No reference reads so, so none can mean it."""

_LOCAL = ("$dynamicRef", "$recursiveRef")
_PIN = frozenset({REF, ORIGINAL, RESOLVED})
_HEARD = frozenset({"$schema", "$comment", "title", "description", "definitions", "$defs", REF, "$id"})
_SIBLINGS = "aug:siblings"
_MOVING = frozenset({REF, ORIGINAL, "$id", "$dynamicRef"})
_NAMES_A_PLACE = re.compile("#[^/]|[^#]", re.DOTALL).match
_OUTSIDE_DEFINITIONS = re.compile(r"/(?!(definitions|\$defs)(/|\Z))", re.DOTALL).match


def address_of(ref: str) -> str:
    """The `$id` of a Vibe's schema in a bundle."""
    return f"aug:{ref}"


def is_bare(schema: Any) -> bool:
    """Whether a document is nothing but a reference: draft-07 ignores all keywords beside one.

    An `$id` too: such a document is wrapped in an `allOf`.
    """
    return (
        isinstance(schema, dict) and isinstance(schema.get(REF), str) and dialect(schema) is Dialect.DRAFT_07
    )


def resource(schema: Any, address: str, bare: AbstractSet[str]) -> dict[str, Any]:
    """
    One pinned schema as a resource of a bundle, which shares all parts that stay as they are.

    Args:
        schema: The document.
        address: The `$id` that it gets.
        bare: The addresses of those documents, itself included, that are nothing but a reference.
    """
    own = dialect(schema)
    if isinstance(schema, bool):
        node: dict[str, Any] = {} if schema else {"not": {}}
    else:
        names = _names(schema, own) if address in bare or _names_its_parts(schema) else None
        node = _Bundling(address, names, bare).part(schema, own, "")
        if address in bare:
            node = _wrapped(node)
    return {**node, "$schema": str(own), "$id": address}


def bundle(root: Mapping[str, Any], guests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The compound document of a root and its guests by address, all of them resources."""
    if not guests:
        return dict(root)
    container = container_of(root)
    own = own_definitions(root)
    named = {f"{address}#" if address in own else address: guest for address, guest in guests.items()}
    return {**root, container: {**own, **named}}


def container_of(root: Mapping[str, Any]) -> str:
    """The keyword under which guests stand."""
    return "definitions" if dialect(root) is Dialect.DRAFT_07 else "$defs"


def own_definitions(root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members of the root under that keyword."""
    own = root.get(container_of(root))
    return own if isinstance(own, dict) else {}


def _wrapped(node: dict[str, Any]) -> dict[str, Any]:
    """The node with its ignored keywords under `definitions`, where references still find them."""
    silent = {keyword: value for keyword, value in node.items() if keyword not in _HEARD}
    kept = {keyword: value for keyword, value in node.items() if keyword not in silent and keyword != REF}
    if silent:
        kept["definitions"] = {**kept.get("definitions", {}), _SIBLINGS: silent}
    return {**kept, "allOf": [{REF: node[REF]}]}


# --- References ---------------------------------------------------------------------------


class _Bundling:
    """One walk over a document, which gives back the same object where nothing changes."""

    def __init__(self, address: str, names: Mapping[str, str] | None, bare: AbstractSet[str]) -> None:
        self._self = address
        self._names = names
        self._bare = bare

    def part(self, node: dict[str, Any], own: Dialect, base: str) -> dict[str, Any]:
        """
        An object and all below it.

        Args:
            node: The object.
            own: The dialect around it.
            base: The address around it, as its author wrote it.
        """
        if "$recursiveRef" in node and not _moves(node):
            return node
        if self._names is not None and "$id" in node:
            inner = dialect_named(node.get("$schema")) or own
            id_ = _identity(node, inner)
            if id_ is not None:
                own, base = inner, resolve_address(base, id_)[0]
        changes = dict(self._below(node, own, base))
        return self._object({**node, **changes} if changes else node, own, base)

    def _below(self, node: dict[str, Any], own: Dialect, base: str) -> Iterator[tuple[str, Any]]:
        for keyword, value in node.items():
            if keyword not in KEYWORDS:
                continue
            if isinstance(value, list) and keyword in MANY:
                parts = [self.part(m, own, base) if isinstance(m, dict) else m for m in value]
                if not all(map(operator.is_, parts, value)):
                    yield keyword, parts
            elif isinstance(value, dict) and keyword in NAMED:
                named = {k: self.part(m, own, base) if isinstance(m, dict) else m for k, m in value.items()}
                if not all(map(operator.is_, named.values(), value.values())):
                    yield keyword, named
            elif isinstance(value, dict) and keyword in ONE:
                part = self.part(value, own, base)
                if part is not value:
                    yield keyword, part

    def _object(self, node: dict[str, Any], own: Dialect, base: str) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        dropped: AbstractSet[str] = frozenset()
        if isinstance(node.get(RESOLVED), str):
            target = {REF: self._target(address_of(node[RESOLVED]), _fragment(node))}
            if ORIGINAL in node and own is Dialect.DRAFT_07:
                # In draft-07 a $ref would silence the keywords beside it, which a $refOriginal does not.
                return _but(node, {"allOf": [*node.get("allOf", ()), target]}, _PIN)
            dropped, changes = _PIN, target
        if self._names is not None:
            changes = {**changes, **dict(self._renamed(node, base, is_pin=bool(changes)))}
            if _identity(node, own) is not None:
                changes["$id"] = self._id(self._names[base])
            elif own is Dialect.DRAFT_07 and REF in node and isinstance(node.get("$id"), str):
                dropped |= {"$id"}
        return _but(node, changes, dropped)

    def _renamed(self, node: dict[str, Any], base: str, *, is_pin: bool) -> Iterator[tuple[str, str]]:
        assert self._names is not None
        for keyword in _LOCAL if is_pin else (REF, *_LOCAL):
            reference = node.get(keyword)
            if not isinstance(reference, str):
                continue
            address, fragment = resolve_address(base, reference)
            place = self._names.get(address)
            is_address = not reference.startswith("#")
            if not place and place is not None and (is_address or self._self in self._bare):
                yield keyword, self._target(self._self, fragment)
            elif place and is_address:
                yield keyword, self._id(place) + (f"#{fragment}" if fragment else "")

    def _target(self, address: str, fragment: str) -> str:
        """The `$ref` to a document of the bundle, or to a part of it."""
        if not fragment:
            return address
        if address in self._bare and _OUTSIDE_DEFINITIONS(fragment):
            return f"{address}#/definitions/{_SIBLINGS}{fragment}"
        return f"{address}#{fragment}"

    def _id(self, place: str) -> str:
        """The `$id` of a part that has one; unlike its author's it is different in each version."""
        return f"{self._self}&{as_fragment(place)}" if place else self._self


def _but(node: dict[str, Any], changes: Mapping[str, Any], dropped: AbstractSet[str]) -> dict[str, Any]:
    if not changes and not dropped:
        return node
    return {**{keyword: value for keyword, value in node.items() if keyword not in dropped}, **changes}


def _fragment(node: dict[str, Any]) -> str:
    written: str = node[REF] if REF in node else node[ORIGINAL]
    return written.partition("#")[2]


# --- Names --------------------------------------------------------------------------------


def _identity(node: dict[str, Any], own: Dialect) -> str | None:
    """The `$id`, if it is an address: draft-07 ignores one beside a `$ref`, and `#name` is an anchor."""
    id_ = node.get("$id")
    if not isinstance(id_, str):
        return None
    if own is Dialect.DRAFT_07 and (isinstance(node.get(REF), str) or (id_.startswith("#") and id_ != "#")):
        return None
    return id_


def _names(schema: dict[str, Any], own: Dialect) -> dict[str, str]:
    """The address of each resource in a document, as its author wrote it, with the place where it stands."""
    places: dict[str, str] = {}

    def enter(node: dict[str, Any], base: str, pointer: str, around: Dialect) -> None:
        inner = dialect_named(node.get("$schema")) or around
        id_ = _identity(node, inner)
        if id_ is not None:
            base = resolve_address(base, id_)[0]
        elif pointer:
            inner = around
        if id_ is not None or not pointer:
            places[base] = pointer
        for keyword in KEYWORDS & node.keys():
            for way, member, _ in members(keyword, node[keyword]):
                if isinstance(member, dict):
                    enter(member, base, pointer + way, inner)

    enter(schema, "", "", own)
    return places


def _names_its_parts(schema: dict[str, Any]) -> bool:
    """Whether a document gives several names, or refers to itself by its own.

    Most have an `$id` at most, and only references like `#/definitions/x`, which can stay as they are.
    """
    return any("$id" in node or _refers_by_name(node) for node in objects(_but(schema, {}, {"$id"})))


def _refers_by_name(node: dict[str, Any]) -> bool:
    reference, dynamic = node.get(REF), node.get("$dynamicRef")
    if isinstance(reference, str) and RESOLVED not in node and _NAMES_A_PLACE(reference):
        return True
    return isinstance(dynamic, str) and not dynamic.startswith("#")


def _moves(node: dict[str, Any]) -> bool:
    """Whether an object, or one below it, has a name or a reference that a bundle may spell otherwise."""
    return any(not _MOVING.isdisjoint(found) for found in objects(node))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document, whatever they are."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            yield node
            todo += node.values()
        elif isinstance(node, list):
            todo += node
