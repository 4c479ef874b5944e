"""Reads and composes pinned schemas with all that they refer to, from memory or in one read of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refinery_core.errors import (
    ResolutionTooDeep,
    ResolutionTooLarge,
    SchemaMissing,
    UnknownReference,
    VibeNotFound,
)
from refinery_core.kept import Kept
from refinery_core.schema.bundle import address_of
from refinery_core.schema.composition import FIELD, Composition, Document, digest_of
from refinery_core.stored.aside import LARGE, aside
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.documents import MAX_BYTES
from refinery_core.vibe.model import Vibe

MAX_LEVELS = 32

_READ_AT_ONCE = 64
"""Vibes read together: each can be composed from a MiB."""

_LATEST = 200
"""Large ones among so many schemas that were used last are not sent again."""

MEMORY_OF_A_BYTE = 8
"""A schema takes about so many bytes of memory for each byte of its text."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A schema, and by ref all that it is composed from."""

    root: Composition
    guests: Mapping[str, Composition]

    @property
    def size(self) -> int:
        """The number of bytes of JSON of all of them."""
        return self.root.document.size + sum(guest.document.size for guest in self.guests.values())


class Sources:
    """
    Reads and composes pinned schemas.

    `extra` is pinned schemas, by ref, that are not stored (yet); they win over those that are.
    """

    def __init__(self, vibes: Vibes, cache_bytes: int) -> None:
        """Keep half of so many bytes of schemas as they were read, and half of them as they are composed."""
        self._vibes = vibes
        # A stored schema is kept by its ref, any other by its text.
        self._documents: Kept[tuple[str, str], Document] = Kept(cache_bytes // 2)
        self._compositions: Kept[bytes, Composition] = Kept(cache_bytes // 2)

    async def read(self, text: str) -> Document:
        """Read a pinned schema that may not be stored."""
        return await self._document(("text", text), text)

    async def of_vibe(self, vibe: Vibe) -> Document:
        """Read the schema of a Vibe that has one."""
        assert vibe.schema is not None
        return await self._document(("ref", vibe.ref), vibe.schema)

    async def alone(self, text: str) -> Composition:
        """Read a schema that refers to no other."""
        return self._composition(await self.read(text), {})

    async def compose(self, pinned: str, extra: Mapping[str, str]) -> Composed:
        """
        Compose a pinned schema.

        Raises:
            UnknownReference, SchemaMissing: one of its references, or of theirs, leads to no schema.
            ResolutionTooDeep, ResolutionTooLarge: there are more than 32 levels, or more than 1 MiB.
        """
        return await self._over(await self.read(pinned), extra, {})

    async def compose_stored(self, name: str) -> tuple[str, Composed]:
        """
        Compose the schema of a Vibe, by ref or alias, in one read of the database; and say its ref.

        Raises:
            VibeNotFound: there is no such Vibe.
            SchemaMissing: it has no schema; or as compose() says.
        """
        vibe = self._vibes.cached(name)
        ref: str | None = name if vibe is None else vibe.ref
        read: dict[str, Document] = {}
        document = await self._at_hand(str(ref))
        if document is None:
            latest = self._documents.latest(_LATEST)
            large = [known for (kind, known), one in latest if kind == "ref" and one.size >= LARGE]
            ref = await self._fetch([name], large, read)
            if ref is None:
                raise VibeNotFound(reference=address_of(name))
            document = read[ref]
        return str(ref), await self._over(document, {}, read)

    async def _over(self, root: Document, extra: Mapping[str, str], read: dict[str, Document]) -> Composed:
        """A schema over all that it is composed from, of which some may be read already, by ref."""
        levels, size, wave = 0, _checked(root.size), root.refs
        done: set[str] = set()
        while wave:
            levels += 1
            if levels > MAX_LEVELS:
                raise ResolutionTooDeep(field=FIELD, limit=MAX_LEVELS)
            for start in range(0, len(wave), _READ_AT_ONCE):
                part = wave[start : start + _READ_AT_ONCE]
                await self._read_all(part, extra, read)
                size = _checked(size + sum(read[ref].size for ref in part))
            done.update(wave)
            wave = tuple(dict.fromkeys(ref for name in wave for ref in read[name].refs if ref not in done))
        guests: dict[str, Composition] = {}
        composition = self._composed(root, read, guests, MAX_LEVELS)
        if composition.height > 1 + MAX_LEVELS:
            raise ResolutionTooDeep(field=FIELD, limit=MAX_LEVELS)
        return Composed(composition, guests)

    async def _read_all(
        self, refs: Sequence[str], extra: Mapping[str, str], read: dict[str, Document]
    ) -> None:
        for ref in refs:
            document = await self.read(extra[ref]) if ref in extra else read.get(ref)
            if document := document or await self._at_hand(ref):
                read[ref] = document
        if wanted := [ref for ref in refs if ref not in read]:
            await self._fetch(wanted, [*extra, *read], read)
        if missing := [ref for ref in refs if ref not in read]:
            raise UnknownReference(field=FIELD, reference=missing[0])

    async def _at_hand(self, ref: str) -> Document | None:
        document = self._documents.get(("ref", ref))
        if document is None and (vibe := self._vibes.cached(ref)) is not None:
            if vibe.schema is None:
                raise SchemaMissing(ref=ref)
            document = await self.of_vibe(vibe)
        return document

    async def _fetch(
        self, names: Sequence[str], known: Sequence[str], read: dict[str, Document]
    ) -> str | None:
        """Add schemas of the database, and all under them but what is known; the ref of the first name."""
        rows = await self._vibes.database.fetch("composing_schemas", names, known, MAX_BYTES)
        _checked(sum(len((row["schema"] or "").encode()) for row in rows))
        for row in rows:
            if row["schema"] is not None:
                read[row["ref"]] = await self._document(("ref", row["ref"]), row["schema"])
            elif row["asked"]:
                raise SchemaMissing(ref=row["ref"])
        return next((row["ref"] for row in rows if row["asked"]), None)

    async def _document(self, key: tuple[str, str], text: str) -> Document:
        document = self._documents.get(key)
        if document is None:
            document = await aside(len(text), Document, text)
            self._documents.keep(key, document, 1_000 + MEMORY_OF_A_BYTE * len(text))
        return document

    def _composed(
        self,
        document: Document,
        documents: Mapping[str, Document],
        guests: dict[str, Composition],
        levels: int,
    ) -> Composition:
        """A document over its guests, which are composed before it, no more than so many levels of them."""
        for ref in document.refs:
            if ref not in guests:
                if not levels:
                    raise ResolutionTooDeep(field=FIELD, limit=MAX_LEVELS)
                guests[ref] = self._composed(documents[ref], documents, guests, levels - 1)
        return self._composition(document, guests)

    def _composition(self, document: Document, guests: Mapping[str, Composition]) -> Composition:
        own = {ref: guests[ref] for ref in document.refs}
        digest = digest_of(document, own)
        composition = self._compositions.get(digest)
        if composition is None:
            composition = Composition(document, own)
            self._compositions.keep(digest, composition, 1_000 + MEMORY_OF_A_BYTE * document.size)
        return composition


def _checked(size: int) -> int:
    if size > MAX_BYTES:
        raise ResolutionTooLarge(field=FIELD, limit=MAX_BYTES)
    return size
