"""Composed schemas: pinned before they are written, resolved and compiled when they are used."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from refinery_core.errors import (
    InvalidSchema,
    RefineryError,
    ResolutionTooLarge,
    SchemaMissing,
    UnknownReference,
    Violation,
)
from refinery_core.schema.validator import (
    Validator,
    compile_alone,
    compile_schema,
)
from refinery_core.stored.aside import LARGE, aside
from refinery_core.stored.sources import Sources
from refinery_core.stored.validators import Validators
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe import documents
from refinery_core.vibe.model import Vibe
from refinery_core.vibe.pointers import pointer_tokens
from refinery_core.vibe.references import (
    RESOLVED,
    Reference,
    SchemaFault,
    SchemaReading,
    pin,
    read_schema,
    schema_at,
    unpin,
)
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

Resolve = Callable[[Sequence[AugUri]], Awaitable[Mapping[AugUri, str | None]]]
"""Finds the refs that references without fragment mean; None for one that means nothing."""

_GUESTS_AT_ONCE = 16
"""Vibes read together: each can be some MiB."""


@dataclass(frozen=True, slots=True)
class PinnedSchema:
    """A schema in pinned form; `pins` has the ref of each reference, as it was written."""

    value: Any
    text: str
    reading: SchemaReading
    pins: Mapping[str, str]


class Composer:
    """Pins, resolves and compiles schemas. `extra` is pinned schemas, by ref, that are not stored (yet)."""

    def __init__(self, vibes: Vibes, schema_bytes: int = 192 << 20, validator_bytes: int = 64 << 20) -> None:
        """Keep schemas in about so many bytes of memory, and the validators of so many bytes of schemas."""
        self.vibes = vibes
        self.sources = Sources(vibes, schema_bytes * 2 // 3)
        self._validators = Validators(validator_bytes, schema_bytes // 3)

    async def pin(
        self,
        schema: Any,
        resolve: Resolve,
        *,
        field: str,
        extra: Mapping[str, str] | None = None,
        repin: bool = False,
        reader: Reader = READS_EVERYTHING,
    ) -> PinnedSchema:
        """
        Give every reference that has no pin the ref that it means; with `repin`, every floating one.

        Vibes that `reader` may not read do not exist for it.

        Raises:
            InvalidSchema: a reference, or what it leads to, is no schema.
            UnknownReference: a reference, or a pin that came with it, means nothing.
            SchemaMissing: it means a Vibe without schema.
            ResolutionTooLarge: it is too large to be stored, or what it refers to is to be composed.
        """
        try:
            schema, reading = await aside(len(orjson.dumps(schema)), _read, schema, repin=repin)
        except SchemaFault as fault:
            raise InvalidSchema(field=field, path=fault.path, problem=fault.problem) from None
        if not reading.references:
            return PinnedSchema(schema, _text(schema, field), reading, {})
        open_ = list(dict.fromkeys(r.uri.without_fragment for r in reading.references if r.pinned is None))
        answers = await resolve(open_) if open_ else {}
        missing = next((uri for uri in open_ if answers[uri] is None), None)
        if missing is not None:
            raise UnknownReference(field=field, reference=missing)
        refs = {str(uri): str(answers[uri]) for uri in open_}
        aliases = await self._check_guests(reading, refs, field, extra or {}, reader)
        refs = {uri: aliases.get(ref, ref) for uri, ref in refs.items()}
        value = pin(schema, reading, refs)
        return PinnedSchema(value, _text(value, field), reading, _pins(reading, refs))

    async def _check_guests(
        self,
        reading: SchemaReading,
        refs: Mapping[str, str],
        field: str,
        extra: Mapping[str, str],
        reader: Reader,
    ) -> dict[str, str]:
        """Refuse references that lead to no schema; give the refs of Vibes that are named by an alias."""
        names = {reference: _guest(reference, refs) for reference in reading.references}
        guests = await self._guests([name for name in names.values() if name not in extra], field, reader)
        for reference, name in names.items():
            if name not in extra and name not in guests:
                raise UnknownReference(field=field, reference=name if reference.pinned else reference.written)
            if reference.pinned is not None and name in guests and guests[name].ref != name:
                raise InvalidSchema(
                    field=field,
                    path=reference.pointer,
                    problem=f"$refResolved is an alias; write {guests[name].ref}",
                )
            if name in guests and guests[name].schema is None:
                raise SchemaMissing(ref=name)
            if reference.uri.fragment:
                guest = (
                    self.sources.read(extra[name]) if name in extra else self.sources.of_vibe(guests[name])
                )
                if not _leads_to_schema(reference, (await guest).value):
                    problem = f"'{reference.written}' leads to no schema in {name}"
                    raise InvalidSchema(field=field, path=reference.pointer, problem=problem)
        return {name: guest.ref for name, guest in guests.items() if guest.ref != name}

    async def _guests(self, names: Sequence[str], field: str, reader: Reader) -> dict[str, Vibe]:
        """Read the Vibes that a schema refers to, a few at a time, until they are too large to compose."""
        guests: dict[str, Vibe] = {}
        size, wanted = 0, list(dict.fromkeys(names))
        for start in range(0, len(wanted), _GUESTS_AT_ONCE):
            found = await self.vibes.by_names(wanted[start : start + _GUESTS_AT_ONCE])
            # Only the schemas are needed, and there may be thousands.
            guests |= {
                name: replace(guest, context=None, solution=None)
                for name, guest in found.items()
                if reader.everything or reader.sees(guest.id, guest.branches, guest.type)
            }
            size += sum(len(guest.schema or "") for guest in found.values())
            if size > documents.MAX_BYTES:
                raise ResolutionTooLarge(field=field, limit=documents.MAX_BYTES)
        return guests

    async def validator(
        self, pinned: str, *, field: str, extra: Mapping[str, str] | None = None
    ) -> Validator:
        """
        The validator of solutions for a pinned schema: made once, kept by all that it is composed from.

        Raises:
            InvalidSchema: it, or what it is composed from, is not a JSON Schema.
            ResolutionTooDeep, ResolutionTooLarge: it is composed from too much.
        """
        key = hashlib.sha256(pinned.encode()).digest()
        composes = f'"{RESOLVED}"' in pinned
        cached = self._validators.get(key) if not (composes and extra) else None
        if cached is not None:
            return cached
        try:
            with refusals_at(field):
                if not composes:
                    return await self._validator_of_one(key, pinned)
                composed = await self.sources.compose(pinned, extra or {})
                if extra and not extra.keys().isdisjoint(composed.guests):
                    key = composed.root.digest
                return await self._validators.of(key, composed)
        except SchemaFault as fault:
            raise InvalidSchema(field=field, path=fault.path, problem=fault.problem) from None

    async def _validator_of_one(self, key: bytes, schema: str) -> Validator:
        """The validator of a schema that refers to no other."""
        if len(schema) < LARGE:
            return await self._validators.made(key, len(schema), partial(compile_schema, schema))
        # Kept as it was read and estimated, for schemas that may refer to it later.
        alone = await self.sources.alone(schema)
        return await self._validators.made(key, len(schema), partial(compile_alone, schema, alone))

    async def has_part(self, vibe: Vibe, fragment: str) -> bool:
        """Whether a fragment leads to a schema in that of a Vibe, which has one."""
        return schema_at((await self.sources.of_vibe(vibe)).value, pointer_tokens(fragment)) is not None

    async def violations(self, validator: Validator, solution: str, limit: int) -> tuple[Violation, ...]:
        """The violations of a solution, up to `limit`."""
        instance = orjson.loads(solution)
        if len(solution) < LARGE and not validator.is_ready(instance):
            return await self._validators.in_turn(partial(validator.violations, instance, limit))
        return await aside(len(solution), validator.violations, instance, limit)


@contextmanager
def refusals_at(field: str) -> Iterator[None]:
    """Name the field of the request in refusals of its schema."""
    try:
        yield
    except RefineryError as refusal:
        if refusal.metadata.get("field") != "schema":
            raise
        raise type(refusal)(**{**refusal.metadata, "field": field}) from refusal


def _read(schema: Any, *, repin: bool) -> tuple[Any, SchemaReading]:
    reading = read_schema(schema)
    if repin and reading.references:
        schema = unpin(schema, reading)
        reading = read_schema(schema)
    return schema, reading


def _text(schema: Any, field: str) -> str:
    try:
        return documents.from_value(schema).text
    except documents.DocumentFault as fault:
        raise ResolutionTooLarge(field=field, limit=documents.MAX_BYTES) from fault


def _guest(reference: Reference, refs: Mapping[str, str]) -> str:
    return reference.pinned or refs[str(reference.uri.without_fragment)]


def _leads_to_schema(reference: Reference, schema: Any) -> bool:
    return schema_at(schema, pointer_tokens(reference.uri.fragment or "")) is not None


def _pins(reading: SchemaReading, refs: Mapping[str, str]) -> dict[str, str]:
    return {reference.written: _guest(reference, refs) for reference in reading.references}
