"""Reads JSON Schema files that refer to each other, and finds the target of each reference.

A reference is resolved by file name first (relative to its own file), then by `$id`. Nothing is fetched:
a reference to neither a file nor a meta-schema is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote

from refinery_core.vibe import pointers
from refinery_core.vibe.addresses import resolve_address
from refinery_core.vibe.keywords import KEYWORDS, Dialect, dialect, dialect_named, members, schema_at
from refinery_core.vibe.pointers import PointerFault, pointer_tokens

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Unresolved(Exception):  # noqa: N818 -- reads as the sentence that it is
    """A reference that leads nowhere, or cannot become one between Vibes: file, JSON pointer, problem."""

    def __init__(self, file: PurePath, pointer: str, problem: str) -> None:
        super().__init__(f"{file} at {pointer or '(root)'}: {problem}")


@dataclass(frozen=True, slots=True)
class Spot:
    """One object of a schema, with the `$id` around it: the root's, or that of a part with one of its own."""

    pointer: str
    schema: dict[str, Any]
    base: str
    is_inner: bool
    """Whether the `$id` around it is not the root's."""


@dataclass(frozen=True, slots=True)
class Link:
    """One reference that leads to a file: its place, its text, the file, and the place in that file."""

    file: SchemaFile
    spot: Spot
    written: str
    target: SchemaFile
    tokens: tuple[str, ...]

    @property
    def pointer(self) -> str:
        """The JSON pointer of its place."""
        return f"{self.spot.pointer}/$ref"


@dataclass(eq=False)
class SchemaFile:
    """One file: its value, and the places in it that have a name."""

    path: PurePath
    schema: Any
    sha256: str = ""
    spots: list[Spot] = field(init=False)
    addresses: dict[str, str] = field(init=False)
    """The pointer of each part that has an `$id`, the root included."""
    anchors: dict[tuple[str, str], str] = field(init=False)

    def __post_init__(self) -> None:
        """Walk it once."""
        self.dialect = dialect(self.schema)
        self.addresses, self.anchors = {}, {}
        self.spots = list(self._walk(self.schema, "", "", is_inner=False))

    @property
    def address(self) -> str:
        """The `$id` of the root, or nothing."""
        return self.spots[0].base if self.spots else ""

    def _walk(self, schema: Any, pointer: str, base: str, *, is_inner: bool) -> Iterator[Spot]:
        if not isinstance(schema, dict):
            return
        named = schema.get("$id")
        # Draft-07 ignores keywords beside a $ref.
        if isinstance(named, str) and not (self.dialect is Dialect.DRAFT_07 and "$ref" in schema):
            if named.startswith("#") and self.dialect is Dialect.DRAFT_07:
                self.anchors[base, named[1:]] = pointer
            else:
                base, is_inner = resolve_address(base, named)[0], bool(pointer)
                self.addresses[base] = pointer
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(key), str):
                self.anchors[base, schema[key]] = pointer
        yield Spot(pointer, schema, base, is_inner)
        for keyword, value in schema.items():
            if keyword in KEYWORDS:
                for way, member, stands in members(keyword, value):
                    if stands:
                        yield from self._walk(member, pointer + way, base, is_inner=is_inner)

    def place(self, address: str, fragment: str) -> tuple[str, ...] | None:
        """The path to the target of a fragment in the part with this `$id`; None if nothing is there."""
        start = self.addresses.get(address, "")
        if fragment and not fragment.startswith("/"):
            pointer = self.anchors.get((address, fragment))
            return None if pointer is None else pointers.read(pointer)
        try:
            tokens = pointers.read(start) + pointer_tokens(fragment)
        except PointerFault:
            return None
        return tokens if schema_at(self.schema, tokens) is not None else None


class Library:
    """The files that are imported together, by name and by `$id`."""

    def __init__(self, files: Sequence[SchemaFile]) -> None:
        """Index them. Two files may have the same `$id` as long as nothing refers to it."""
        self._by_path = {_normal(file.path): file for file in files}
        self._by_address: dict[str, list[SchemaFile]] = {}
        for file in files:
            for address in file.addresses:
                self._by_address.setdefault(address, []).append(file)

    def links(self, file: SchemaFile) -> list[Link]:
        """
        The references of a file that lead to a file, be it another one or itself by its own name.

        Raises:
            Unresolved: One leads nowhere.
        """
        return [link for spot in file.spots for key in REFERENCES for link in self._link(file, spot, key)]

    def _link(self, file: SchemaFile, spot: Spot, key: str) -> Iterator[Link]:
        written = spot.schema.get(key)
        if not isinstance(written, str) or written.startswith(("#", "aug:")):
            return
        where = f"{spot.pointer}/{key}"
        found = self._target(file, spot, where, written)
        if found is None:
            return
        target, address = found
        if key != "$ref":
            raise Unresolved(file.path, where, f"a {key} to another file cannot become a reference to a Vibe")
        tokens = target.place(address, written.partition("#")[2])
        if tokens is None:
            raise Unresolved(file.path, where, f"'{written}' does not lead to a schema in {target.path}")
        yield Link(file, spot, written, target, tokens)

    def _target(
        self, file: SchemaFile, spot: Spot, where: str, written: str
    ) -> tuple[SchemaFile, str] | None:
        """The file, and the `$id` of the part in it; None for a reference that is valid anywhere."""
        named = self._by_path.get(_normal(file.path.parent / unquote(written.partition("#")[0])))
        if named is not None:
            return named, named.address
        address = resolve_address(spot.base, written)[0]
        if address in file.addresses:
            is_local = spot.is_inner or file.addresses[address]
            return None if is_local else (file, address)
        if dialect_named(address) is not None:
            return None
        targets = self._by_address.get(address, [])
        if not targets:
            problem = f"'{written}' leads to no file here and to no meta-schema; nothing is fetched"
            raise Unresolved(file.path, where, problem)
        if len(targets) > 1:
            names = " and ".join(str(target.path) for target in targets)
            raise Unresolved(file.path, where, f"'{written}' may mean {names}, which have the same $id")
        return targets[0], address


def _normal(path: PurePath) -> str:
    return os.path.normpath(path)


def components(
    files: Sequence[SchemaFile], links: Mapping[SchemaFile, Sequence[Link]]
) -> list[list[SchemaFile]]:
    """
    Group the files so that those in a cycle are together, and targets come before their users.

    Each group keeps the order of `files`. Tarjan's algorithm, without recursion.
    """
    number: dict[SchemaFile, int] = {}
    lowest: dict[SchemaFile, int] = {}
    stack: list[SchemaFile] = []
    waiting: set[SchemaFile] = set()
    groups: list[list[SchemaFile]] = []
    order = {file: at for at, file in enumerate(files)}

    def enter(file: SchemaFile) -> tuple[SchemaFile, Iterator[SchemaFile]]:
        number[file] = lowest[file] = len(number)
        stack.append(file)
        waiting.add(file)
        return file, iter([link.target for link in links[file]])

    for start in files:
        walk = [] if start in number else [enter(start)]
        while walk:
            file, targets = walk[-1]
            target = next(targets, None)
            if target is None:
                walk.pop()
                if walk:
                    lowest[walk[-1][0]] = min(lowest[walk[-1][0]], lowest[file])
                if lowest[file] == number[file]:
                    cut = stack.index(file)
                    group, stack[cut:] = stack[cut:], []
                    waiting.difference_update(group)
                    groups.append(sorted(group, key=order.__getitem__))
            elif target not in number:
                walk.append(enter(target))
            elif target in waiting:
                lowest[file] = min(lowest[file], number[target])
    return groups
