"""Resolves and validates with schemas, stored or sent, with their own pins or pinned anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from refinery_core.errors import InvalidReference, SchemaMissing, SolutionMissing, VibeNotFound, Violation
from refinery_core.stored.composition import Composer, refusals_at
from refinery_core.stored.moments import Moment, find, fixed
from refinery_core.stored.rights import Rights
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.documents import Document
from refinery_core.vibe.model import Context, Vibe
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import Reader
from resolver_service.forms import Resolved, SchemaForm, resolve_stored, resolve_unstored
from resolver_service.repinning import Repinning

MAX_VIOLATIONS = 100

_ANY = Moment("main", 0)
"""For references that mean the same at every moment."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a schema: a Vibe, or a document that is not stored; exactly one of the two."""

    reference: AugUri | None
    schema: Document | None
    context: Context
    repin: bool

    @property
    def field(self) -> str:
        """The field that refusals name."""
        return "schema" if self.reference is None else "reference"

    @property
    def varies(self) -> bool:
        """Whether the context matters; if not, it is not read."""
        exact = self.reference is not None and self.reference.canonical
        return self.repin or not exact or self.context != Context()


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether a solution satisfies a schema, and where it does not."""

    violations: tuple[Violation, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Schema:
    """A pinned schema; `extra` is the schemas, by ref, that it refers to and that are not as stored."""

    pinned: str
    vibe: Vibe | None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_as_stored(self) -> bool:
        """Whether it is the stored schema of the Vibe, with all that it is composed from."""
        return self.vibe is not None and self.vibe.schema == self.pinned and not self.extra

    @property
    def solution(self) -> str:
        """The solution of the Vibe whose schema it is."""
        assert self.vibe is not None
        if self.vibe.solution is None:
            raise SolutionMissing(ref=self.vibe.ref)
        return self.vibe.solution


class Schemas:
    """Resolves schemas and validates with them."""

    def __init__(self, vibes: Vibes, composer: Composer, rights: Rights | None = None) -> None:
        self.rights = rights or Rights(vibes.database)
        self.vibes = vibes
        self.composer = composer

    async def resolve_reference(self, uri: AugUri, context: Context, reader: Reader) -> tuple[Vibe, int]:
        """
        The Vibe that a reference means, and the position at which the question was answered.

        Raises:
            VibeNotFound: it means nothing there.
            SchemaMissing, InvalidReference: its fragment does not lead to a schema.
        """
        moment = await fixed(self.vibes, context)
        vibe = await find(self.vibes, uri, moment, reader)
        if uri.fragment is not None:
            await self._check_fragment(uri, vibe)
        return vibe, moment.position

    async def name(self, source: Source, reader: Reader) -> str | None:
        """
        The canonical name of the Vibe whose schema a source means as it is stored; None for any other schema.

        Raises:
            VibeNotFound, BranchNotFound, PositionOutOfRange: the reference means nothing there.
        """
        if source.reference is None or source.repin:
            return None
        if source.varies:
            as_of = await self.vibes.as_of(source.context)
            (name,) = await self.vibes.resolve([source.reference], source.context, as_of)
        else:
            name = str(source.reference.ref)
        if name is None:
            raise VibeNotFound(reference=source.reference)
        if not reader.everything:
            vibe = (await self.vibes.by_names([name])).get(name)
            if vibe is None or not reader.sees(vibe.id, vibe.branches, vibe.type):
                raise VibeNotFound(reference=source.reference)
        return name

    async def resolve(self, source: Source, name: str | None, form: SchemaForm, reader: Reader) -> Resolved:
        """
        Compose a schema; `name` is what name() says of its source.

        Raises:
            RefineryError: the source means nothing, or cannot be composed.
        """
        with refusals_at(source.field):
            if name is not None:
                return await resolve_stored(self.composer, name, form)
            schema = await self._read(source, reader)
            ref = None if schema.vibe is None else schema.vibe.ref
            if ref is not None and schema.is_as_stored:
                return await resolve_stored(self.composer, ref, form)
            return await resolve_unstored(self.composer, schema.pinned, form, schema.extra, ref)

    async def validate(self, source: Source, solution: Document | None, reader: Reader) -> Validation:
        """
        Check a solution, that of the source if it is None.

        Raises:
            SolutionMissing: the source has none either.
            RefineryError: the source means nothing, or cannot be composed.
        """
        schema = await self._read(source, reader)
        text = solution.text if solution is not None else schema.solution
        if source.reference is not None and source.reference.fragment:
            schema = await self._part(source.reference, schema)
        validator = await self.composer.validator(schema.pinned, field=source.field, extra=schema.extra)
        found = await self.composer.violations(validator, text, MAX_VIOLATIONS + 1)
        return Validation(found[:MAX_VIOLATIONS], truncated=len(found) > MAX_VIOLATIONS)

    async def _read(self, source: Source, reader: Reader) -> _Schema:
        """The pinned schema of a source, in its context."""
        moment, vibe = _ANY, None
        if source.varies:
            moment = await fixed(self.vibes, source.context)
        if source.reference is not None:
            vibe = await find(self.vibes, source.reference, moment, reader)
            if vibe.schema is None:
                raise SchemaMissing(ref=vibe.ref)
            if not source.repin:
                # Whoever may read a Vibe may read what its schema is composed from.
                return _Schema(vibe.schema, vibe)
            value = orjson.loads(vibe.schema)
        else:
            assert source.schema is not None
            value = source.schema.value
        repinning = Repinning(self.vibes, self.composer, moment)
        if not source.repin:
            return _Schema((await repinning.pin(value, field=source.field, reader=reader)).text, None)
        repinned = await repinning.repin(value, field=source.field, reader=reader)
        return _Schema(repinned.pinned.text, vibe, repinned.extra)

    async def _part(self, uri: AugUri, schema: _Schema) -> _Schema:
        """The part of a stored schema that a fragment leads to: a schema that refers to nothing else."""
        assert schema.vibe is not None
        await self._check_fragment(uri, schema.vibe)
        ref = schema.vibe.ref
        referring = orjson.dumps({"$ref": f"aug:{ref}#{uri.fragment}", "$refResolved": ref}).decode()
        extra = schema.extra if schema.is_as_stored else {**schema.extra, ref: schema.pinned}
        return _Schema(referring, schema.vibe, extra)

    async def _check_fragment(self, uri: AugUri, vibe: Vibe) -> None:
        if vibe.schema is None:
            raise SchemaMissing(ref=vibe.ref)
        if not await self.composer.has_part(vibe, uri.fragment or ""):
            problem = f"its fragment leads to no schema in {vibe.ref}"
            raise InvalidReference(field="reference", value=uri, problem=problem)
