"""Repinning: pins a schema, and all that it is composed from, as of another moment.

Floating references are pinned anew, in the schema and in the Vibes that it reaches through floating
references alone. An exact reference means that version with the pins that it has: all that is behind one
stays as it is, unless a floating reference leads there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import orjson

from refinery_core.errors import InvalidSchema, ResolutionTooDeep, ResolutionTooLarge, SchemaMissing
from refinery_core.kept import Kept
from refinery_core.stored.composition import Composer, PinnedSchema
from refinery_core.stored.moments import Moment
from refinery_core.stored.rights import hidden
from refinery_core.stored.sources import MAX_LEVELS
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.documents import MAX_BYTES
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

READ_AT_ONCE = 64
"""Vibes read together: each can be a MiB."""

MEMORY_BYTES = 16 << 20
MEANINGS = 100_000
"""References whose meaning is remembered while one question is answered."""


@dataclass(frozen=True, slots=True)
class Repinned:
    """A schema pinned anew; `extra` is the schemas it reaches that are not as stored, by ref."""

    pinned: PinnedSchema
    extra: Mapping[str, str]
    reached: frozenset[str]
    """The refs reached by floating references alone."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A version that does not exist: floating references to the id mean it while it is assumed."""

    branch: str
    id: str
    ref: str
    schema: str | None
    """Its pinned schema; None if the ref is a stored version after all."""


@dataclass(frozen=True, slots=True)
class _Guest:
    pinned: PinnedSchema
    changed: bool
    """Whether it is not as stored."""


class Repinning:
    """Pins schemas anew at one moment; lookups for one schema serve the next."""

    def __init__(
        self, vibes: Vibes, composer: Composer, moment: Moment, hypothesis: Hypothesis | None = None
    ) -> None:
        self._vibes = vibes
        self._composer = composer
        self._moment = moment
        self._hypothesis = hypothesis
        self._unstored: dict[str, str] = {}
        if hypothesis is not None and hypothesis.schema is not None:
            self._unstored[hypothesis.ref] = hypothesis.schema
        # An empty ref stands for a reference that means nothing.
        self._meanings: Kept[AugUri, str] = Kept(most=MEANINGS)
        self._repinned: Kept[str, _Guest] = Kept(MEMORY_BYTES)

    async def repin(self, schema: Any, *, field: str, reader: Reader = READS_EVERYTHING) -> Repinned:
        """
        Pin a schema anew, level by level, to versions that `reader` may read.

        Raises:
            InvalidSchema: a reference leads to no schema any more, or the schemas go round in a circle.
            UnknownReference, SchemaMissing: a reference means nothing there, or a Vibe without schema.
            ResolutionTooDeep, ResolutionTooLarge: it is composed from too much.
        """
        root = await self._pin(schema, field, reader)
        found: dict[str, _Guest] = {}
        wave, levels, size = _floating(root), 0, len(root.text)
        while wave:
            levels += 1
            if levels > MAX_LEVELS:
                raise ResolutionTooDeep(field=field, limit=MAX_LEVELS)
            for start in range(0, len(wave), READ_AT_ONCE):
                part = await self._repin_stored(wave[start : start + READ_AT_ONCE], field, reader)
                found |= part
                size += sum(len(guest.pinned.text) for guest in part.values())
                if size > MAX_BYTES:
                    raise ResolutionTooLarge(field=field, limit=MAX_BYTES)
            reached = dict.fromkeys(ref for name in wave for ref in _floating(found[name].pinned))
            wave = [ref for ref in reached if ref not in found]
        _refuse_circle(found, field)
        extra = {ref: guest.pinned.text for ref, guest in found.items() if guest.changed}
        return Repinned(root, extra, frozenset(found))

    async def reaches(self, ref: str, written: Iterable[str]) -> bool:
        """Whether floating references alone lead to a ref, also where not everything can be composed."""
        seen: set[str] = set()
        wave = _floating_uris(written)
        while wave:
            meanings = {name for name in (await self._resolve(wave)).values() if name is not None}
            if ref in meanings:
                return True
            new, wave = sorted(meanings - seen - self._unstored.keys()), []
            seen.update(new)
            for start in range(0, len(new), READ_AT_ONCE):
                stored = await self._vibes.by_names(new[start : start + READ_AT_ONCE])
                wave += _floating_uris(name for vibe in stored.values() for name in vibe.schema_refs)
        return False

    async def _repin_stored(self, refs: Sequence[str], field: str, reader: Reader) -> dict[str, _Guest]:
        found = {ref: guest for ref in refs if (guest := self._repinned.get(ref)) is not None}
        texts = await self._read([ref for ref in refs if ref not in found])
        for ref, text in texts.items():
            try:
                pinned = await self._pin(orjson.loads(text), field, reader)
            except InvalidSchema as refusal:
                path, problem = refusal.metadata["path"], refusal.metadata["problem"]
                raise InvalidSchema(field=field, path=path, problem=f"in {ref}, {problem}") from refusal
            found[ref] = _Guest(pinned, changed=ref in self._unstored or pinned.text != text)
            self._repinned.keep(ref, found[ref], len(pinned.text))
        return found

    async def _read(self, refs: Sequence[str]) -> dict[str, str]:
        """The schemas of Vibes; all that they refer to is looked up together on the way."""
        stored = await self._vibes.by_names(ref for ref in refs if ref not in self._unstored)
        uris = _floating_uris(name for vibe in stored.values() for name in vibe.schema_refs)
        meanings = await self._resolve(uris)
        nearby = [ref for ref in meanings.values() if ref is not None and ref not in self._unstored]
        await self._vibes.by_names(nearby[:READ_AT_ONCE])
        schemas: dict[str, str] = {}
        for ref in refs:
            schema = self._unstored[ref] if ref in self._unstored else stored[ref].schema
            if schema is None:
                raise SchemaMissing(ref=ref)
            schemas[ref] = schema
        return schemas

    async def pin(
        self, schema: Any, *, field: str, reader: Reader = READS_EVERYTHING, repin: bool = False
    ) -> PinnedSchema:
        """Pin the references that have no pin yet. Vibes that `reader` may not read do not exist for it."""

        async def resolve(uris: Sequence[AugUri]) -> Mapping[AugUri, str | None]:
            answers = await self._resolve(uris)
            refs = [ref for ref in answers.values() if ref is not None]
            unseen = await hidden(self._vibes.database, reader, refs)
            return {uri: None if ref in unseen else ref for uri, ref in answers.items()}

        return await self._composer.pin(
            schema, resolve, field=field, extra=self._unstored, repin=repin, reader=reader
        )

    async def _pin(self, schema: Any, field: str, reader: Reader) -> PinnedSchema:
        return await self.pin(schema, field=field, reader=reader, repin=True)

    async def _resolve(self, uris: Sequence[AugUri]) -> Mapping[AugUri, str | None]:
        meanings = {uri: self._meanings.get(uri) for uri in uris}
        asked = [uri for uri, ref in meanings.items() if ref is None]
        if asked:
            answers = await self._vibes.resolve(asked, self._moment.context, self._moment.position)
            for uri, ref in zip(asked, answers, strict=True):
                meanings[uri] = self._assumed(uri) or ref
                self._meanings.keep(uri, meanings[uri] or "")
        return {uri: ref or None for uri, ref in meanings.items()}

    def _assumed(self, uri: AugUri) -> str | None:
        hypothesis = self._hypothesis
        if hypothesis is None or not uri.floats or uri.id != hypothesis.id:
            return None
        return hypothesis.ref if (uri.branch or self._moment.branch) == hypothesis.branch else None


def _floating(pinned: PinnedSchema) -> list[str]:
    """The refs that its floating references were pinned to."""
    references = pinned.reading.references
    return list(dict.fromkeys(pinned.pins[r.written] for r in references if r.uri.floats))


def _floating_uris(written: Iterable[str]) -> list[AugUri]:
    uris = (AugUri.parse(reference).without_fragment for reference in written)
    return list(dict.fromkeys(uri for uri in uris if uri.floats))


def _refuse_circle(found: Mapping[str, _Guest], field: str) -> None:
    graph: dict[str, Iterable[str]] = {ref: guest.pinned.pins.values() for ref, guest in found.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        problem = f"pinned anew, these schemas would be composed from each other: {circle}"
        raise InvalidSchema(field=field, path="/", problem=problem) from None
