"""The bundles from when bundling was written in SQL: bytes that every way of composing keeps.

One number is written in another way since: 1e17 is an integer, and answered as its digits.

Short ones are kept whole, long ones as SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinery_core.vibe import documents
from tests.cases import grown, large
from tests.cases.composition import CASES

_BYTES = json.loads((Path(__file__).parent / "composed.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Composition:
    """Pinned schemas by ref as they are stored, and the composed forms of the last one."""

    name: str
    vibes: dict[str, Any]
    bundle: str
    unstored: str
    embedded: str
    effort: dict[str, Any]

    @property
    def ref(self) -> str:
        return list(self.vibes)[-1]


def compositions() -> Iterator[Composition]:
    for case in CASES:
        yield _read(case.name, case.pinned, _BYTES["cases"][case.name])
    for seed, bytes_ in enumerate(_BYTES["grown"]):
        yield _read(f"grown from {seed}", grown.composition(seed), bytes_)
    for version in ("1.4", "1.6", "1.7"):
        yield _large(f"cyclonedx {version}", large.cyclonedx(version))
    for kind in ("dense", "sparse"):
        yield _large(f"a definition of a {kind} schema", _dependent(kind, "#/$defs/kind{}"))
        yield _large(f"the whole of a {kind} schema", _dependent(kind, ""))
    yield _large("many guests", large.many_guests(500))


def is_same(text: str, kept: str) -> bool:
    return kept in {text, hashlib.sha256(text.encode()).hexdigest()}


def _large(name: str, vibes: dict[str, Any]) -> Composition:
    return _read(name, vibes, _BYTES["large"][name])


def _dependent(kind: str, fragment: str) -> dict[str, Any]:
    schema = large.definitions(300_000, dense=kind == "dense")
    return {"main@large?1": schema, **large.dependents(1, "main@large?1", fragment)}


def _read(name: str, vibes: dict[str, Any], kept: dict[str, Any]) -> Composition:
    stored = {ref: documents.from_value(schema).value for ref, schema in vibes.items()}
    return Composition(name, stored, **kept)
