"""The forms of a resolved schema: pinned, embedded and bundled, each with its pins and dependencies."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from refinery_core.errors import SchemaMissing, VibeNotFound
from refinery_core.schema.bundle import UNSTORED, address_of
from refinery_core.schema.composition import bundled_text
from refinery_core.stored.aside import aside
from refinery_core.stored.composition import Composer
from refinery_core.stored.sources import Composed
from refinery_core.vibe.documents import from_value, restore, sendable
from refinery_core.vibe.jsonb import answerable
from refinery_core.vibe.model import Pin
from refinery_core.vibe.references import RESOLVED, read_schema


class SchemaForm(enum.IntEnum):
    """The form in which a schema is resolved, by its number in the contract."""

    PINNED = 1
    EMBEDDED = 2
    BUNDLED = 3


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    A schema in the form asked for, as text that can be sent back.

    `dependencies` are all Vibes that it is composed from, sorted.
    """

    schema: str
    pins: tuple[Pin, ...]
    dependencies: tuple[str, ...]
    ref: str | None


async def resolve_stored(composer: Composer, name: str, form: SchemaForm) -> Resolved:
    """
    Resolve the schema of a Vibe, by ref or alias, in one read of the database at the most.

    Raises:
        VibeNotFound, SchemaMissing: there is no such Vibe, or it has no schema.
        ResolutionTooDeep, ResolutionTooLarge: it is composed from too much.
    """
    if form is SchemaForm.BUNDLED:
        ref, composed = await composer.sources.compose_stored(name)
        pins = await aside(composed.root.document.size, _pins_of, composed)
        return Resolved(await _bundled(composed, address_of(ref)), pins, tuple(sorted(composed.guests)), ref)
    row = await composer.vibes.database.first("resolved_schema", name, form is SchemaForm.EMBEDDED)
    if row is None:
        raise VibeNotFound(reference=address_of(name))
    pinned, embedded = row["pinned"], row["embedded"]
    if pinned is None and embedded is None:
        raise SchemaMissing(ref=row["ref"])
    text, pins = ("", ()) if pinned is None else await aside(len(pinned), _restored, pinned)
    text = sendable(text) if embedded is None else answerable(embedded)
    return Resolved(text, pins, tuple(row["dependencies"]), row["ref"])


async def resolve_unstored(
    composer: Composer, pinned: str, form: SchemaForm, extra: Mapping[str, str], ref: str | None
) -> Resolved:
    """
    Resolve a pinned schema that is not stored so: it was sent, or a Vibe's was pinned anew.

    `extra` is the schemas, by ref, that it refers to and that are not stored so either; `ref` is the Vibe's.

    Raises:
        RefineryError: it cannot be composed.
    """
    composed = await composer.sources.compose(pinned, extra)
    if form is SchemaForm.PINNED:
        text = sendable(pinned)
    elif form is SchemaForm.EMBEDDED:
        given = orjson.dumps({ref: orjson.Fragment(text) for ref, text in extra.items()}).decode()
        row = await composer.vibes.database.first("embed_schema", pinned, given)
        assert row is not None
        text = answerable(row["schema"])
    else:
        text = await _bundled(composed, UNSTORED)
    pins = await aside(len(pinned), _pins, pinned)
    return Resolved(text, pins, tuple(sorted(composed.guests)), ref)


async def _bundled(composed: Composed, address: str) -> str:
    return await aside(composed.size, bundled_text, composed.root, address, composed.guests)


def _pins_of(composed: Composed) -> tuple[Pin, ...]:
    return _pins(from_value(composed.root.document.value).text) if composed.guests else ()


def _restored(stored: str) -> tuple[str, tuple[Pin, ...]]:
    """The canonical text of a pinned schema as JSONB prints it, and its pins."""
    text = restore(stored).text
    return text, _pins(text)


def _pins(pinned: str) -> tuple[Pin, ...]:
    """The refs that the references of a schema stand for, in the order of its canonical text."""
    if f'"{RESOLVED}"' not in pinned:
        return ()
    references = read_schema(orjson.loads(pinned)).references
    return tuple(dict.fromkeys(Pin(r.written, r.pinned) for r in references if r.pinned is not None))
