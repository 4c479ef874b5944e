"""The shared table of cases for both walks: each a few Vibes, the last of which is asked about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinery_core.vibe.references import pin, read_schema
from refinery_core.vibe.refs import AugUri


@dataclass(frozen=True)
class Case:
    """Solutions that the schema of the last Vibe accepts and refuses."""

    name: str
    written: Mapping[str, Any]
    """Schemas by ref, in the order in which they were refined."""
    accepts: list[Any]
    refuses: list[Any]
    jsonschema: bool = True
    """Whether the library jsonschema gets it right (it forgets the dialect of a part of a document)."""
    sources: bool = True
    """Whether the sources can stand in one registry (not if two of them have one $id)."""

    @property
    def ref(self) -> str:
        return list(self.written)[-1]

    @property
    def pinned(self) -> dict[str, Any]:
        """The schemas as they are stored."""
        stored: dict[str, Any] = {}
        for ref, schema in self.written.items():
            reading = read_schema(schema)
            stored[ref] = pin(schema, reading, {vibe: _meant(vibe, stored) for vibe in reading.unpinned})
        return stored


def _meant(written: str, stored: Mapping[str, Any]) -> str:
    uri = AugUri.parse(written)
    versions = [ref for ref in stored if ref.startswith(f"{uri.branch or 'main'}@{uri.id}?")]
    return versions[-1] if uri.revision is None else f"{uri.branch or 'main'}@{uri.id}?{uri.revision}"


def _read() -> list[Case]:
    rows = json.loads((Path(__file__).parent / "composition.json").read_text(encoding="utf-8"))
    return [Case(written={vibe["ref"]: vibe["schema"] for vibe in row.pop("vibes")}, **row) for row in rows]


CASES = _read()
