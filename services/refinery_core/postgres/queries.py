"""The named queries of queries/*.sql: `QUERIES["get_vibe"]` is SQL with $1-style parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

_HEAD = re.compile(r"^-- name:[ \t]*(?P<name>[a-z][a-z0-9_]*)[ \t]*\n-- (?P<purpose>\S.*)\n", re.MULTILINE)
_NAME = re.compile(r"^-- name:", re.MULTILINE)


def parse(file: str, text: str) -> Iterator[tuple[str, str]]:
    """Cut a file into (name, SQL); ValueError where a name has no line of purpose or there is no SQL."""
    heads = list(_HEAD.finditer(text))
    if len(heads) != len(_NAME.findall(text)):
        raise ValueError(f"{file}: each '-- name: lower_case' needs a comment line of purpose below it")
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        sql = text[head.end() : following.start() if following else len(text)].strip().removesuffix(";")
        if not sql:
            raise ValueError(f"{file}: {head['name']} has no SQL")
        yield head["name"], f"/* {head['name']} */ {sql}"


def load(folder: Traversable) -> dict[str, str]:
    """Read all files of a folder; ValueError where two queries have one name."""
    queries: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else ():
        for name, sql in (
            parse(file.name, file.read_text(encoding="utf-8")) if file.name.endswith(".sql") else ()
        ):
            if queries.setdefault(name, sql) is not sql:
                raise ValueError(f"{file.name}: there are two queries named {name}")
    return queries


QUERIES = MappingProxyType(load(files(__package__) / "queries"))
