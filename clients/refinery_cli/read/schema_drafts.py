"""Turns JSON Schema files into drafts of Vibes that refer to each other, targets first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from refinery_cli.read.schema_files import (
    Library,
    Link,
    SchemaFile,
    Spot,
    Unresolved,
    components,
)
from refinery_core.vibe import pointers
from refinery_core.vibe.keywords import Dialect

_DYNAMIC = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor")
Changes = dict[int, dict[str, Any]]
"""By the identity of an object in a file: the new values of its keys; None drops a key."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One reference: its place, its text in the file, and its new text."""

    file: PurePath
    pointer: str
    written: str
    becomes: str


@dataclass(frozen=True, slots=True)
class SchemaDraft:
    """One new Vibe: its id, its files (the root first), and their rewritten references."""

    id: str
    files: tuple[SchemaFile, ...]
    schema: Any
    references: tuple[Rewritten, ...]


@dataclass(frozen=True, slots=True)
class _Home:
    """The target of a file: a Vibe, and a place in it."""

    id: str
    root: SchemaFile
    tokens: tuple[str, ...]


def plan(files: Sequence[SchemaFile], ids: Mapping[SchemaFile, str]) -> list[SchemaDraft]:
    """
    Make drafts of files, in an order in which each refers only to earlier ones.

    Files that refer to each other in a cycle become one Vibe: the first in the order of `files` is the root
    and gives the id, the others go under its definitions.

    Raises:
        Unresolved: A reference leads nowhere, or a cycle cannot be merged.
    """
    library = Library(files)
    links = {file: library.links(file) for file in files}
    groups = components(files, links)
    homes: dict[SchemaFile, _Home] = {}
    for group in groups:
        homes.update(_homes(group, ids))
    _check_ids(groups, homes)
    return [_draft(group, homes, links) for group in groups]


def _homes(group: Sequence[SchemaFile], ids: Mapping[SchemaFile, str]) -> dict[SchemaFile, _Home]:
    root, *guests = group
    homes = {root: _Home(ids[root], root, ())}
    keyword = "definitions" if root.dialect is Dialect.DRAFT_07 else "$defs"
    taken = set(root.schema.get(keyword, {})) if guests else set()
    for guest in guests:
        _check_guest(guest, root)
        name = base = ids[guest].rpartition("/")[2]
        number = 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        homes[guest] = _Home(ids[root], root, (keyword, name))
    return homes


def _check_ids(groups: Sequence[Sequence[SchemaFile]], homes: Mapping[SchemaFile, _Home]) -> None:
    seen: dict[str, SchemaFile] = {}
    for root, *_ in groups:
        other = seen.setdefault(homes[root].id, root)
        if other is not root:
            raise Unresolved(root.path, "", f"{other.path} has the id '{homes[root].id}' as well; use --map")


def _check_guest(guest: SchemaFile, root: SchemaFile) -> None:
    def refuse(pointer: str, problem: str) -> None:
        raise Unresolved(guest.path, pointer, f"it is in a ring with {root.path}, and {problem}")

    if guest.dialect is not root.dialect:
        refuse("/$schema", "files of two dialects cannot become one Vibe")
    for spot in guest.spots:
        if spot.is_inner:
            refuse(f"{spot.pointer}/$id", "a part with an $id of its own cannot be moved")
        for key in _DYNAMIC:
            if key in spot.schema:
                refuse(f"{spot.pointer}/{key}", "what is dynamic cannot be moved")


def _draft(
    group: Sequence[SchemaFile],
    homes: Mapping[SchemaFile, _Home],
    links: Mapping[SchemaFile, Sequence[Link]],
) -> SchemaDraft:
    root, *guests = group
    changes: Changes = {}
    references = []
    for file in group:
        for link in links[file]:
            becomes = _becomes(link, homes)
            changes.setdefault(id(link.spot.schema), {})["$ref"] = becomes
            references.append(Rewritten(file.path, link.pointer, link.written, becomes))
    for guest in guests:
        _move(guest, homes[guest].tokens, changes)
    schema = _rewritten(root.schema, changes)
    for guest in guests:
        keyword, name = homes[guest].tokens
        schema.setdefault(keyword, {})[name] = _rewritten(guest.schema, changes)
    return SchemaDraft(homes[root].id, tuple(group), schema, tuple(references))


def _becomes(link: Link, homes: Mapping[SchemaFile, _Home]) -> str:
    home = homes[link.target]
    fragment = pointers.as_fragment(pointers.written(home.tokens + link.tokens))
    if home.root is not homes[link.file].root:
        return f"aug:/{home.id}#{fragment}" if fragment else f"aug:/{home.id}"
    if not link.spot.is_inner:
        return f"#{fragment}"
    if not home.root.address:
        raise Unresolved(
            link.file.path, link.pointer, "from a part with an $id of its own, a root without one has no name"
        )
    return f"{home.root.address}#{fragment}"


def _move(guest: SchemaFile, tokens: tuple[str, ...], changes: Changes) -> None:
    """Drop the names of a guest, and make its own references lead to its new place."""
    for spot in guest.spots:
        change = changes.setdefault(id(spot.schema), {})
        change |= dict.fromkeys(("$id", "$anchor", "$schema"))
        written = spot.schema.get("$ref")
        if "$ref" not in change and isinstance(written, str) and written.startswith("#"):
            change["$ref"] = (
                f"#{pointers.as_fragment(pointers.written(tokens + _within(guest, spot, written)))}"
            )


def _within(guest: SchemaFile, spot: Spot, written: str) -> tuple[str, ...]:
    tokens = guest.place(spot.base, written[1:])
    if tokens is None:
        raise Unresolved(guest.path, f"{spot.pointer}/$ref", f"'{written}' does not lead to a schema")
    return tokens


def _rewritten(value: Any, changes: Changes) -> Any:
    if isinstance(value, list):
        return [_rewritten(item, changes) for item in value]
    if not isinstance(value, dict):
        return value
    changed = value | changes.get(id(value), {})
    dropped = {key for key, part in changes.get(id(value), {}).items() if part is None}
    return {key: _rewritten(part, changes) for key, part in changed.items() if key not in dropped}


def id_of(path: PurePath, prefix: str) -> str:
    """The default id of a file: the prefix, and the name without its endings."""
    name = path.name
    for ending in (".json", ".yaml", ".yml"):
        name = name.removesuffix(ending)
    name = name.removesuffix(".schema")
    return f"{prefix.rstrip('/')}/{name}" if prefix else name
