"""The schemas of one document of a bundle: which of them see the same value, and which see its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from refinery_core.schema.effort import (
    IN_PLACE,
    NOT_APPLIED,
    OF_OBJECT,
    ONE_OF_ARRAY,
    ONE_OF_OBJECT,
    own_looks,
)
from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import KEYWORDS, MANY, NAMED, ONE, is_schema, schema_at
from refinery_core.vibe.pointers import PointerFault, pointer_tokens
from refinery_core.vibe.references import REF

_DYNAMIC = ("$dynamicRef", "$recursiveRef")


class Sum(NamedTuple):
    """The looks of a schema with all that see the same value, and those that `unevaluated…` repeats."""

    looks: int
    asked: int


NOTHING: Final = Sum(0, 0)


class Node:
    """A schema that leads to others. One that does not is a leaf, and is told by its looks alone."""

    # There are tens of thousands of nodes: lists are made only where they are filled.
    __slots__ = (
        "again", "arrays", "first", "inner", "leaf_looks", "leaves", "looks", "number", "objects", "ones",
        "outer", "parents", "rows", "seen", "users", "way",
    )  # fmt: skip

    def __init__(self, schema: dict[str, Any]) -> None:
        self.looks = own_looks(schema)
        """The cost of one look."""
        self.again = "unevaluatedProperties" in schema or "unevaluatedItems" in schema
        self.leaves = self.leaf_looks = 0
        """The number of leaves that see the same value, and their looks."""
        self.inner: Sequence[Node] = ()
        """The others that see the same value, of this document …"""
        self.outer: Sequence[Node] = ()
        """… and of others."""
        self.objects: Members | None = None
        """The schemas of the members of an object …"""
        self.arrays: Members | None = None
        """… and of an array."""
        # Looks fills in the rest.
        self.parents: list[Node] | None = None
        self.users: list[Node] | None = None
        self.number = -1
        self.way = self.seen = 0
        self.ones: Sum | None = None
        self.first = NOTHING
        self.rows: list[tuple[int, Sum]] | None = None

    def take_in(self, keyword: str, found: Sequence[Node | int]) -> None:
        """Take in the schemas under a keyword, leaves by their looks."""
        if keyword in IN_PLACE:
            self.see(found)
            return
        if keyword in ONE_OF_OBJECT or keyword in OF_OBJECT:
            members = self.objects = self.objects or Members()
        else:
            members = self.arrays = self.arrays or Members()
        members.add(found, one=keyword in ONE_OF_OBJECT or keyword in ONE_OF_ARRAY)

    def see(self, found: Sequence[Node | int]) -> None:
        """Others see the same value."""
        nodes = [each for each in found if isinstance(each, Node)]
        if nodes:
            self.inner = [*self.inner, *nodes]
        for each in found:
            if isinstance(each, int):
                self.leaves += 1
                self.leaf_looks += each

    def below(self, level: int) -> Sum:
        """The sum on a level below the first."""
        for changed, found in reversed(self.rows or ()):
            if changed <= level:
                return found
        return NOTHING

    def most(self) -> int:
        """The looks at one member of a value, of an object or of an array."""
        in_objects = self.objects.most() if self.objects else 0
        return max(in_objects, self.arrays.most()) if self.arrays else in_objects


class Members:
    """The schemas of the members of a value: of some only one applies to the same member, of others all."""

    __slots__ = ("all_leaves", "all_nodes", "one_leaf", "one_nodes")

    def __init__(self) -> None:
        self.one_leaf = self.all_leaves = 0
        self.one_nodes: Sequence[Node] = ()
        self.all_nodes: Sequence[Node] = ()

    def add(self, found: Sequence[Node | int], *, one: bool) -> None:
        """Take in schemas, leaves by their looks."""
        nodes = [each for each in found if isinstance(each, Node)]
        leaves = [each for each in found if isinstance(each, int)]
        if one:
            self.one_nodes = [*self.one_nodes, *nodes] if nodes else self.one_nodes
            self.one_leaf = max(self.one_leaf, *leaves) if leaves else self.one_leaf
        else:
            self.all_nodes = [*self.all_nodes, *nodes] if nodes else self.all_nodes
            self.all_leaves += sum(leaves)

    def most(self) -> int:
        """The looks at one member."""
        most = self.one_leaf
        for node in self.one_nodes:
            most = max(most, node.seen)
        for node in self.all_nodes:
            most += node.seen
        return most + self.all_leaves


class Target(Protocol):
    """A document of a bundle that others refer to."""

    def find(self, fragment: str) -> Node | int | None:
        """The schema that a fragment leads to, a leaf by its looks; None if there is none."""


class Graph:
    """The schemas of one document, found in one walk."""

    def __init__(self, resource: dict[str, Any], guests: Mapping[str, Target]) -> None:
        """`guests` are the documents that it refers to, by address."""
        self.nodes: list[Node] = []
        self.is_dynamic = False
        """Whether what a reference means depends on what led there."""
        self.most_of_leaves = 1
        self._root = resource
        self._found: dict[int, Node] = {}
        self._named: dict[str, Any] = {"": resource}
        self._references: list[tuple[Node, str, str]] = []
        self._targets: dict[tuple[int, str], Node | int | None] = {}
        self.root = self._add(resource, "")
        for node, base, reference in self._references:
            target = self._target(base, reference, guests)
            if isinstance(target, Node) and target.number >= 0:
                node.outer = [*node.outer, target]
            elif target is not None:
                node.see([target])
        self._references.clear()

    def find(self, fragment: str) -> Node | int | None:
        """The schema that a fragment leads to, a leaf by its looks; None if there is none."""
        return self._at(self._root, fragment)

    def _add(self, schema: Any, base: str) -> Node | int:
        if not isinstance(schema, dict):
            return 1
        base = self._add_names(schema, base)
        node: Node | None = None
        for keyword in schema:
            if keyword in KEYWORDS:
                found = [self._add(part, base) for part in _parts(keyword, schema[keyword])]
                if found and keyword not in NOT_APPLIED:
                    node = node or Node(schema)
                    node.take_in(keyword, found)
            elif keyword == REF or keyword in _DYNAMIC:
                node = node or Node(schema)
                self.is_dynamic |= keyword != REF
                if keyword != "$recursiveRef" and isinstance(schema[keyword], str):
                    self._references.append((node, base, schema[keyword]))
        if node is None:
            looks = own_looks(schema)
            self.most_of_leaves = max(self.most_of_leaves, looks)
            return looks
        self.nodes.append(node)
        self._found[id(schema)] = node
        return node

    def _add_names(self, schema: dict[str, Any], base: str) -> str:
        if isinstance(id_ := schema.get("$id"), str):
            base, anchor = resolve_address(base, id_)
            self._named[f"{base}#{anchor}" if anchor else base] = schema
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := schema.get(key), str):
                self._named[f"{base}#{name}"] = schema
        return base

    def _target(self, base: str, reference: str, guests: Mapping[str, Target]) -> Node | int | None:
        address, fragment = (
            (base, reference[1:]) if reference.startswith("#") else resolve_address(base, reference)
        )
        if address in guests:
            return guests[address].find(fragment)
        if fragment and not fragment.startswith("/"):
            return self._found_at(self._named.get(f"{address}#{fragment}"))
        return self._at(self._named.get(address), fragment)

    def _at(self, schema: Any, fragment: str) -> Node | int | None:
        key = id(schema), fragment
        if key not in self._targets:
            try:
                found = schema_at(schema, pointer_tokens(fragment))
            except PointerFault:
                found = None
            self._targets[key] = self._found_at(found)
        return self._targets[key]

    def _found_at(self, schema: Any) -> Node | int | None:
        if schema is None:
            return None
        return self._found.get(id(schema)) or own_looks(schema)


def _parts(keyword: str, value: Any) -> list[Any]:
    """The schemas that stand under a keyword."""
    if keyword in NAMED and isinstance(value, dict):
        return [part for part in value.values() if is_schema(part)]
    if keyword in MANY and isinstance(value, list):
        return [part for part in value if is_schema(part)]
    return [value] if keyword in ONE and is_schema(value) else []
