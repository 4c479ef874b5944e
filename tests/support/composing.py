"""Composes pinned schemas without a database: the last of some is the root."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from refinery_core.schema.bundle import UNSTORED, address_of
from refinery_core.schema.composition import Composition, Document, bundled_text
from refinery_core.stored.sources import Composed
from refinery_core.vibe import documents


def compose(vibes: Mapping[str, Any]) -> Composed:
    """The last of pinned schemas by ref, with its guests."""
    read = {ref: Document(documents.from_value(schema).text) for ref, schema in vibes.items()}
    made: dict[str, Composition] = {}
    for ref in TopologicalSorter({ref: document.refs for ref, document in read.items()}).static_order():
        made[ref] = Composition(read[ref], {guest: made[guest] for guest in read[ref].refs})
    root = made[list(vibes)[-1]]
    reached = _below(root)
    return Composed(root, {ref: guest for ref, guest in made.items() if ref in reached})


def bundle(vibes: Mapping[str, Any], *, stored: bool = True) -> str:
    """Its bundle, as JSON text."""
    composed = compose(vibes)
    address = address_of(list(vibes)[-1]) if stored else UNSTORED
    return bundled_text(composed.root, address, composed.guests)


def _below(root: Composition) -> set[str]:
    found = set(root.guests)
    for guest in root.guests.values():
        found |= _below(guest)
    return found
