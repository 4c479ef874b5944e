"""Makes a refine ready to commit: inherit, pin, validate. Nothing here writes or locks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson

from ledger_service.commands import Draft, Refine
from ledger_service.extent import Extent
from ledger_service.heads import Heads, Levels
from ledger_service.prepared import NO_PROTOTYPE, Prepared, PreparedDraft, Prototype
from ledger_service.process_check import check_interface, check_process
from ledger_service.references import References
from refinery_core.errors import SolutionInvalid, UnknownReference
from refinery_core.schema.validator import Validator
from refinery_core.stored.composition import Composer, PinnedSchema
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.digests import content_digest
from refinery_core.vibe.documents import Document, restore
from refinery_core.vibe.model import Vibe, VibeType
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

MAX_VIOLATIONS = 20
ROLE_SCHEMA: Final = "main@system/schemas/role?1"
"""The schema of the solution of every Role; see seeds/0002_role_schema.sql."""
_SLICE_SECONDS: Final = 0.005
"""The longest time that a request of many drafts holds up other calls at once."""


class Preparation:
    """
    One refine on its way to the commit.

    With `trust` floating references are looked up in remembered heads; without, in the database. Either
    way the commit checks that they are still the latest.
    """

    def __init__(
        self,
        command: Refine,
        vibes: Vibes,
        composer: Composer,
        heads: Heads,
        levels: Levels,
        *,
        trust: bool,
        reader: Reader = READS_EVERYTHING,
    ) -> None:
        self._command = command
        self._vibes = vibes
        self._composer = composer
        self._levels = levels
        self._reader = reader
        self._references = References(command, vibes, heads, trust=trust, reader=reader)
        self._taken_over: dict[str, PinnedSchema] = {}
        self._prepared = Prepared(command, pins=self._references.pins, foretold=self._references.foretold)

    @property
    def remembered(self) -> bool:
        """Whether it relies on a remembered head, which may be stale."""
        return self._references.remembered

    async def run(self) -> Prepared:
        """
        Prepare every draft, in order.

        Raises:
            RefineryError: a draft is refused, or all of them together are too much.
        """
        command, extent = self._command, Extent()
        inputs = (command.author, *command.targets, *command.instructions, *command.budgets)
        extent.add_inputs(inputs, command.branch)
        levels = await self._levels.of({name for draft in command.drafts for name in draft.branches})
        for index, draft in enumerate(command.drafts):
            extent.add_lines(f"drafts[{index}].branches", sum(levels[name] for name in draft.branches))
        if len(command.drafts) > 1:
            await self._references.read_in_advance()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for index, draft in enumerate(command.drafts):
            prepared = await self._draft(draft, f"drafts[{index}]")
            self._prepared.drafts.append(prepared)
            extent.add_draft(f"drafts[{index}]", prepared, inputs=len(inputs))
            self._references.drafted(prepared.schema)
            if loop.time() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = loop.time()
        await self._references.check_inputs()
        self._prepared.milliseconds = extent.milliseconds
        return self._prepared

    async def _draft(self, draft: Draft, field_: str) -> PreparedDraft:
        prototype = await self._prototype(draft.prototype, field_)
        context = _own_or(draft.context, prototype.context)
        solution = _own_or(draft.solution, prototype.solution)
        pinned = await self._schema(draft, prototype, f"{field_}.schema")
        schema = None if pinned is None else pinned.text
        inherits = _inherited(draft, prototype, schema)
        # A solution that is inherited together with its schema satisfied it when it was committed.
        if pinned is not None and not (
            prototype.type is draft.type and {"schema", "solution"} <= {*inherits}
        ):
            await self._check_schema(draft, pinned, solution, field_)
        await check_process(draft.type, solution, f"{field_}.solution")
        role = None
        if draft.type is VibeType.ROLE and solution is not None:
            role = await self._role(solution, f"{field_}.solution")
        return PreparedDraft(
            draft=draft,
            prototype=prototype,
            context=context,
            schema=schema,
            solution=solution,
            content_digest=content_digest(context, schema, solution),
            inherits=inherits,
            schema_refs=() if pinned is None else tuple(sorted(set(pinned.pins))),
            schema_pins=() if pinned is None else tuple(dict.fromkeys(pinned.pins.values())),
            role=role,
        )

    async def _check_schema(
        self, draft: Draft, pinned: PinnedSchema, solution: str | None, field_: str
    ) -> None:
        validator = await self._composer.validator(
            pinned.text, field=f"{field_}.schema", extra=self._references.extra
        )
        # The schema of a process is that of its input and result; its solution is the steps.
        if draft.type is VibeType.PROCESS:
            check_interface(pinned.text, f"{field_}.schema")
        elif solution is not None:
            await self._check_solution(validator, solution, f"{field_}.solution")

    async def _role(self, solution: str, field_: str) -> dict[str, Any]:
        """The members and rules of a Role, which satisfies the schema of Roles besides its own."""
        schema = (await self._vibes.by_names([ROLE_SCHEMA]))[ROLE_SCHEMA].schema
        assert schema is not None
        validator = await self._composer.validator(schema, field=field_)
        await self._check_solution(validator, solution, field_)
        role = orjson.loads(solution)
        return {name: role[name] for name in ("members", "may") if name in role}

    async def _check_solution(self, validator: Validator, solution: str, field_: str) -> None:
        found = await self._composer.violations(validator, solution, MAX_VIOLATIONS + 1)
        if found:
            count = f"{MAX_VIOLATIONS}+" if len(found) > MAX_VIOLATIONS else str(len(found))
            raise SolutionInvalid(field=field_, violations=found[:MAX_VIOLATIONS], count=count)

    async def _prototype(self, uri: AugUri | None, field_: str) -> Prototype:
        if uri is None:
            return NO_PROTOTYPE
        (ref,) = (await self._references.resolve([uri])).values()
        foretold = self._references.foretold
        if ref is not None and ref in foretold.values():
            index = next(index for index, name in foretold.items() if name == ref)
            earlier = self._prepared.drafts[index]
            type_, stored = earlier.draft.type, False
            return Prototype(ref, type_, earlier.context, earlier.schema, earlier.solution, stored)
        found: dict[str, Vibe] = await self._vibes.by_names([ref] if ref else [])
        if ref not in found:
            raise UnknownReference(field=f"{field_}.prototype_ref", reference=uri)
        vibe = found[ref]
        return Prototype(vibe.ref, vibe.type, vibe.context, vibe.schema, vibe.solution, stored=True)

    async def _schema(self, draft: Draft, prototype: Prototype, field_: str) -> PinnedSchema | None:
        if draft.schema is not None:
            return await self._pin(draft.schema, draft, field_, self._reader)
        if prototype.schema is None:
            return None
        # All its references are pinned, so it is the same for every draft that inherits it.
        if not draft.repin and (known := self._taken_over.get(prototype.ref)) is not None:
            return known
        # Whoever may read a Vibe may read what its schema is composed from.
        pinned = await self._pin(restore(prototype.schema), draft, field_, READS_EVERYTHING)
        if not draft.repin:
            self._taken_over[prototype.ref] = pinned
        return pinned

    async def _pin(self, schema: Document, draft: Draft, field_: str, reader: Reader) -> PinnedSchema:
        return await self._composer.pin(
            schema.value,
            self._references.resolve,
            field=field_,
            extra=self._references.extra,
            repin=draft.repin,
            reader=reader,
        )


def _own_or(document: Document | None, inherited: str | None) -> str | None:
    return inherited if document is None else document.text


def _inherited(draft: Draft, prototype: Prototype, schema: str | None) -> tuple[str, ...]:
    """The documents that stand in the ledger as the draft will have them, and need not be sent there."""
    if not prototype.stored:
        return ()
    taken: Sequence[tuple[str, bool]] = (
        ("context", draft.context is None and prototype.context is not None),
        ("schema", draft.schema is None and schema is not None and schema == prototype.schema),
        ("solution", draft.solution is None and prototype.solution is not None),
    )
    return tuple(name for name, is_taken in taken if is_taken)
