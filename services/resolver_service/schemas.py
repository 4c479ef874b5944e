"""Schemas, stored or not: resolved in each form, with their own pins or pinned anew, and validated with."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from refinery_core.answers import Answers
from refinery_core.errors import InvalidReference, SchemaMissing, SolutionMissing, Violation
from refinery_core.stored.composition import Composer
from refinery_core.stored.moments import Moment, find, fixed
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.documents import Document, sendable
from refinery_core.vibe.model import Context, Pin, Vibe
from refinery_core.vibe.references import read_schema
from refinery_core.vibe.refs import AugUri
from resolver_service.repinning import Repinning

MAX_VIOLATIONS = 100

_ANY = Moment("main", 0)
"""For references that mean the same at every moment."""


class SchemaForm(enum.Enum):
    """How a schema is composed."""

    PINNED = enum.auto()
    EMBEDDED = enum.auto()
    BUNDLED = enum.auto()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a schema comes from: a Vibe, or a document that is not stored; exactly one of the two."""

    reference: AugUri | None
    schema: Document | None
    context: Context
    repin: bool

    @property
    def field(self) -> str:
        """What refusals call it."""
        return "schema" if self.reference is None else "reference"

    @property
    def varies(self) -> bool:
        """Whether the context has a say; if not, it is not even looked at."""
        exact = self.reference is not None and self.reference.canonical
        return self.repin or not exact or self.context != Context()


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

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        named = sum(200 + len(pin.reference) + len(pin.ref) for pin in self.pins)
        return 500 + len(self.schema) + named + sum(100 + len(ref) for ref in self.dependencies)


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether a solution satisfies a schema, and where it does not."""

    violations: tuple[Violation, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class _Schema:
    """A pinned schema ready to be composed; `extra` is what it refers to that is not as stored."""

    pinned: str
    vibe: Vibe | None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> str | None:
        """The ref that it is stored under, as it stands here."""
        as_stored = self.vibe is not None and self.vibe.schema == self.pinned and not self.extra
        return self.vibe.ref if self.vibe is not None and as_stored else None

    @property
    def solution(self) -> str:
        """That of the Vibe whose schema it is."""
        assert self.vibe is not None
        if self.vibe.solution is None:
            raise SolutionMissing(ref=self.vibe.ref)
        return self.vibe.solution


class Schemas:
    """Resolves schemas and validates with them. What a ref means never changes, so such answers are kept."""

    def __init__(self, vibes: Vibes, composer: Composer, *, answer_bytes: int = 32 << 20) -> None:
        self.vibes = vibes
        self.composer = composer
        self._answers: Answers[Resolved] = Answers(answer_bytes)

    async def resolve_reference(self, uri: AugUri, context: Context) -> tuple[Vibe, int]:
        """
        The Vibe that a reference means, and the position at which the question was answered.

        Raises:
            VibeNotFound: it means nothing there.
            SchemaMissing, InvalidReference: its fragment does not lead to a schema.
        """
        moment = await fixed(self.vibes, context)
        vibe = await find(self.vibes, uri, moment)
        if uri.fragment is not None:
            await self._check_fragment(uri, vibe)
        return vibe, moment.position

    async def resolve(self, source: Source, form: SchemaForm) -> Resolved:
        """
        Compose a schema.

        Raises:
            RefineryError: the source means nothing, or cannot be composed.
        """
        if source.reference is None or source.repin:
            return await self._compose(await self._read(source), form, source.field)
        schema = await self._read(source)
        assert schema.vibe is not None
        answer = self._answers.get((schema.vibe.ref, form))
        if answer is None:
            answer = await self._compose(schema, form, source.field)
            self._answers.keep((schema.vibe.ref, form), answer, answer.size)
        return answer

    async def validate(self, source: Source, solution: Document | None) -> Validation:
        """
        Check a solution, that of the source if it is None.

        Raises:
            SolutionMissing: the source has none either.
            RefineryError: the source means nothing, or cannot be composed.
        """
        schema = await self._read(source)
        text = solution.text if solution is not None else schema.solution
        if source.reference is not None and source.reference.fragment:
            schema = await self._part(source.reference, schema)
        validator = await self.composer.validator(schema.pinned, field=source.field, extra=schema.extra)
        found = await self.composer.violations(validator, text, MAX_VIOLATIONS + 1)
        return Validation(found[:MAX_VIOLATIONS], truncated=len(found) > MAX_VIOLATIONS)

    async def _read(self, source: Source) -> _Schema:
        """The pinned schema of a source, in its context."""
        moment, vibe = _ANY, None
        if source.varies:
            moment = await fixed(self.vibes, source.context)
        if source.reference is not None:
            vibe = await find(self.vibes, source.reference, moment)
            if vibe.schema is None:
                raise SchemaMissing(ref=vibe.ref)
            if not source.repin:
                return _Schema(vibe.schema, vibe)
            value = orjson.loads(vibe.schema)
        else:
            assert source.schema is not None
            value = source.schema.value
        repinning = Repinning(self.vibes, self.composer, moment)
        if not source.repin:
            return _Schema((await repinning.pin(value, field=source.field)).text, None)
        repinned = await repinning.repin(value, field=source.field)
        return _Schema(repinned.pinned.text, vibe, repinned.extra)

    async def _compose(self, schema: _Schema, form: SchemaForm, field_: str) -> Resolved:
        if form is SchemaForm.PINNED:
            text = sendable(schema.pinned)
        elif form is SchemaForm.EMBEDDED:
            text = await self.composer.embed(
                schema.pinned, field=field_, root=schema.root, extra=schema.extra
            )
        else:
            text = await self.composer.bundle(
                schema.pinned, field=field_, root=schema.root, extra=schema.extra
            )
        dependencies = await self.composer.dependencies(schema.pinned, field=field_, extra=schema.extra)
        ref = None if schema.vibe is None else schema.vibe.ref
        return Resolved(text, _pins(schema.pinned), dependencies, ref)

    async def _part(self, uri: AugUri, schema: _Schema) -> _Schema:
        """The part of a stored schema that a fragment leads to: a schema that refers to nothing else."""
        assert schema.vibe is not None
        await self._check_fragment(uri, schema.vibe)
        ref = schema.vibe.ref
        referring = orjson.dumps({"$ref": f"aug:{ref}#{uri.fragment}", "$refResolved": ref}).decode()
        extra = schema.extra if schema.root else {**schema.extra, ref: schema.pinned}
        return _Schema(referring, schema.vibe, extra)

    async def _check_fragment(self, uri: AugUri, vibe: Vibe) -> None:
        if vibe.schema is None:
            raise SchemaMissing(ref=vibe.ref)
        if not await self.composer.has_part(vibe, uri.fragment or ""):
            problem = f"its fragment leads to no schema in {vibe.ref}"
            raise InvalidReference(field="reference", value=uri, problem=problem)


def _pins(pinned: str) -> tuple[Pin, ...]:
    """What its own references stand for, in the order of the document."""
    references = read_schema(orjson.loads(pinned)).references
    return tuple(dict.fromkeys(Pin(r.written, r.pinned) for r in references if r.pinned is not None))
