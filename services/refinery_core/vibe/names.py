"""Checks that the references inside one schema document lead to its own names: nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from refinery_core.texts import cut
from refinery_core.vibe import pointers
from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import Dialect, dialect_named
from refinery_core.vibe.pointers import PointerFault, pointer_tokens

_META_SCHEMAS = frozenset(address.rstrip("#") for address in Dialect)
_ANCHORS = {
    Dialect.DRAFT_07: (),
    Dialect.DRAFT_2019_09: ("$anchor",),
    Dialect.DRAFT_2020_12: ("$anchor", "$dynamicAnchor"),
}
_UNSEEN = "validators of this dialect see no name here; move it under a keyword of the dialect"


class SchemaFault(ValueError):  # noqa: N818 - an error is a refusal; this names what is wrong in a schema
    """A schema that is refused: `path` is the JSON pointer of the fault, `problem` a phrase for people."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(slots=True)
class Resource:
    """A schema with an address of its own: the root, or an object with an `$id`."""

    address: str
    pointer: str
    dialect: Dialect
    anchors: dict[str, str] = field(default_factory=dict)


class Names:
    """All names of one document, filled by a walk from the root down."""

    def __init__(self) -> None:
        self._resources: dict[str, Resource] = {}
        self._uses: list[tuple[str, str, Resource]] = []

    def enter_root(self, schema: dict[str, Any], dialect: Dialect) -> Resource:
        """Begin with the root, whose address is its `$id`, or empty."""
        id_ = _identity(schema, dialect)
        if id_ is not None and _names_a_place(id_):
            raise SchemaFault("/$id", "the $id of a root is an address, not the name of a place in it")
        root = Resource("" if id_ is None else _address("", id_, "/$id"), "", dialect)
        self._resources[root.address] = root
        self._enter_object(schema, "", root, own=True, seen=True)
        return root

    def enter(self, schema: dict[str, Any], pointer: str, outer: Resource, *, seen: bool) -> Resource:
        """The resource that an object below the root belongs to: its own, if it has an `$id`.

        Args:
            schema: The object.
            pointer: Its JSON pointer.
            outer: The resource around it.
            seen: Whether all keywords on the way to it are of the dialect.
        """
        dialect = dialect_named(schema.get("$schema")) or outer.dialect
        id_ = _identity(schema, dialect)
        inner = outer
        if id_ is not None:
            path = f"{pointer}/$id"
            if not seen:
                raise SchemaFault(path, _UNSEEN)
            if dialect is Dialect.DRAFT_07 and _names_a_place(id_):
                _name(outer, id_[1:], pointer, path)
            else:
                inner = Resource(_address(outer.address, id_, path), pointer, dialect)
                if self._resources.setdefault(inner.address, inner) is not inner:
                    raise SchemaFault(path, f"'{cut(inner.address)}' is the $id of two schemas here")
        self._enter_object(schema, pointer, inner, own=inner is not outer, seen=seen)
        return inner

    def use(self, path: str, reference: str, resource: Resource) -> None:
        """Note a reference that must lead to a place in this document, or to a meta-schema."""
        self._uses.append((path, reference, resource))

    def check(self, places: AbstractSet[str]) -> None:
        """Refuse a reference that leads out of the document, or to where no schema stands."""
        for path, reference, resource in self._uses:
            address, fragment = resolve_address(resource.address, reference)
            target = self._resources.get(address)
            if target is not None:
                if _place(target, fragment, path) not in places:
                    raise SchemaFault(path, f"'{cut(reference)}' does not lead to a schema in this document")
            elif address not in _META_SCHEMAS:
                problem = f"'{cut(reference)}' is not in this document, and nothing is ever fetched"
                raise SchemaFault(path, problem)

    def _enter_object(
        self, schema: dict[str, Any], pointer: str, resource: Resource, *, own: bool, seen: bool
    ) -> None:
        if "$schema" in schema:
            named = dialect_named(schema["$schema"])
            if named is None:
                raise SchemaFault(f"{pointer}/$schema", "the dialects are draft-07, 2019-09 and 2020-12")
            if not own and named is not resource.dialect:
                problem = "another dialect can only begin at a schema with an $id of its own"
                raise SchemaFault(f"{pointer}/$schema", problem)
        for key in _ANCHORS[resource.dialect]:
            if isinstance(name := schema.get(key), str):
                if not seen:
                    raise SchemaFault(f"{pointer}/{key}", _UNSEEN)
                _name(resource, name, pointer, f"{pointer}/{key}")


def _identity(schema: dict[str, Any], dialect: Dialect) -> str | None:
    id_ = schema.get("$id")
    if not isinstance(id_, str) or (dialect is Dialect.DRAFT_07 and isinstance(schema.get("$ref"), str)):
        return None  # Draft-07 ignores all keywords beside a $ref.
    return id_


def _names_a_place(id_: str) -> bool:
    return id_.startswith("#") and id_ != "#"


def _address(base: str, id_: str, path: str) -> str:
    address, fragment = resolve_address(base, id_)
    if fragment:
        raise SchemaFault(path, "an $id is an address without a fragment")
    return address


def _name(resource: Resource, name: str, pointer: str, path: str) -> None:
    if resource.anchors.setdefault(name, pointer) != pointer:
        raise SchemaFault(path, f"'{cut(name)}' is the name of two places")


def _place(target: Resource, fragment: str, path: str) -> str | None:
    if fragment and not fragment.startswith("/"):
        return target.anchors.get(fragment)
    try:
        tokens = pointer_tokens(fragment)
    except PointerFault as fault:
        raise SchemaFault(path, fault.problem) from None
    return target.pointer + pointers.written(tokens)
