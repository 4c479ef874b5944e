"""Makes a refine ready to commit: inherit, pin, validate. Nothing here writes or locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger_service.commands import Draft, Refine
from ledger_service.heads import Heads, Line
from ledger_service.process_check import check_interface, check_process
from refinery_core.errors import SolutionInvalid, UnknownReference
from refinery_core.postgres.composition import Composer, PinnedSchema
from refinery_core.postgres.database import NOW
from refinery_core.postgres.vibes import Vibes
from refinery_core.schema.validator import Validator
from refinery_core.vibe.digests import content_digest
from refinery_core.vibe.documents import Document, restore
from refinery_core.vibe.model import Context, VibeType
from refinery_core.vibe.refs import AugUri

MAX_VIOLATIONS = 20


@dataclass(slots=True)
class PreparedDraft:
    """A draft with its documents as they will be stored, as canonical text."""

    draft: Draft
    prototype_ref: str | None
    context: str | None
    schema: str | None
    solution: str | None
    content_digest: bytes
    schema_refs: tuple[str, ...]
    foretold: str | None = None
    """The ref that a later draft counts on."""


@dataclass(slots=True)
class Prepared:
    """A refine that can be committed; `pins` are the floating references that it counts on."""

    command: Refine
    drafts: list[PreparedDraft] = field(default_factory=list)
    pins: dict[Line, str] = field(default_factory=dict)

    def request(self) -> bytes:
        """The JSON that refinery.refine() takes, see functions/refine.sql."""
        command = self.command
        return orjson.dumps(
            {
                "request_id": str(command.request_id),
                "request_digest": command.digest.hex(),
                "principal": command.principal,
                "author": _input(command.author, command.branch),
                "targets": [_input(uri, command.branch) for uri in command.targets],
                "instructions": [_input(uri, command.branch) for uri in command.instructions],
                "budgets": [_input(uri, command.branch) for uri in command.budgets],
                "pins": [{"branch": b, "id": i, "ref": ref} for (b, i), ref in self.pins.items()],
                "drafts": [_request_draft(draft) for draft in self.drafts],
            }
        )


def _input(uri: AugUri, branch: str) -> str | dict[str, Any]:
    if uri.canonical:
        return str(uri.ref)
    return {
        "reference": str(uri),
        "branch": uri.branch or branch,
        "id": uri.id,
        "revision": uri.revision,
    }


def _request_draft(prepared: PreparedDraft) -> dict[str, Any]:
    draft = prepared.draft
    request: dict[str, Any] = {
        "type": draft.type,
        "id": draft.id,
        "branches": draft.branches,
        "content_digest": prepared.content_digest.hex(),
    }
    if draft.expected_revision is not None:
        request["expected_revision"] = draft.expected_revision
    if prepared.foretold is not None:
        request["foretold"] = prepared.foretold
    if prepared.prototype_ref is not None:
        request["prototype_ref"] = prepared.prototype_ref
    for name in ("context", "schema", "solution"):
        text = getattr(prepared, name)
        if text is not None:
            request[name] = orjson.Fragment(text)
    return request


class Preparation:
    """
    One refine on its way to the commit.

    With `heads` floating references are looked up in what is remembered; without, in the database. Either
    way the commit checks that they are still the latest.
    """

    def __init__(
        self, command: Refine, vibes: Vibes, composer: Composer, heads: Heads, *, trust: bool
    ) -> None:
        self._command = command
        self._vibes = vibes
        self._composer = composer
        self._heads = heads
        self._trust = trust
        self._prepared = Prepared(command)
        self._drafted: dict[Line, int] = {}
        self._extra: dict[str, str] = {}

    async def run(self) -> Prepared:
        """
        Prepare every draft, in order.

        Raises:
            RefineryError: a draft is refused.
        """
        for index, draft in enumerate(self._command.drafts):
            self._prepared.drafts.append(await self._draft(draft, f"drafts[{index}]"))
            for branch in draft.branches:
                self._drafted[branch, draft.id] = index
        return self._prepared

    async def _draft(self, draft: Draft, field_: str) -> PreparedDraft:
        prototype_ref, inherited = await self._prototype(draft, field_)
        context = draft.context.text if draft.context else inherited["context"]
        solution = draft.solution.text if draft.solution else inherited["solution"]
        pinned = await self._schema(draft, inherited["schema"], f"{field_}.schema")
        if pinned is not None:
            validator = await self._composer.validator(
                pinned.text, field=f"{field_}.schema", extra=self._extra
            )
            # The schema of a process is that of its input and result; its solution is the steps.
            if draft.type is VibeType.PROCESS:
                check_interface(pinned.text, f"{field_}.schema")
            elif solution is not None:
                await self._validate(validator, solution, f"{field_}.solution")
        await check_process(draft.type, solution, f"{field_}.solution")
        schema = None if pinned is None else pinned.text
        return PreparedDraft(
            draft=draft,
            prototype_ref=prototype_ref,
            context=context,
            schema=schema,
            solution=solution,
            content_digest=content_digest(context, schema, solution),
            schema_refs=() if pinned is None else tuple(sorted(set(pinned.pins))),
        )

    async def _validate(self, validator: Validator, solution: str, field_: str) -> None:
        found = await self._composer.violations(validator, solution, MAX_VIOLATIONS + 1)
        if found:
            count = f"{MAX_VIOLATIONS}+" if len(found) > MAX_VIOLATIONS else str(len(found))
            raise SolutionInvalid(field=field_, violations=found[:MAX_VIOLATIONS], count=count)

    async def _prototype(self, draft: Draft, field_: str) -> tuple[str | None, Mapping[str, str | None]]:
        if draft.prototype is None:
            return None, {"context": None, "schema": None, "solution": None}
        (ref,) = (await self._resolve([draft.prototype])).values()
        earlier = next((d for d in self._prepared.drafts if ref is not None and d.foretold == ref), None)
        if earlier is not None:
            parts = {"context": earlier.context, "schema": earlier.schema, "solution": earlier.solution}
            return ref, parts
        found = await self._vibes.by_names([ref] if ref else [])
        if ref not in found:
            raise UnknownReference(field=f"{field_}.prototype_ref", reference=draft.prototype)
        vibe = found[ref]
        return vibe.ref, {"context": vibe.context, "schema": vibe.schema, "solution": vibe.solution}

    async def _schema(self, draft: Draft, inherited: str | None, field_: str) -> PinnedSchema | None:
        document: Document | None = draft.schema
        if document is None and inherited is not None:
            document = restore(inherited)
        if document is None:
            return None
        return await self._composer.pin(
            document.value, self._resolve, field=field_, extra=self._extra, repin=draft.repin
        )

    # --- What references mean to this request ---------------------------------------------

    async def _resolve(self, uris: Sequence[AugUri]) -> Mapping[AugUri, str | None]:
        answers: dict[AugUri, str | None] = {}
        asked: list[AugUri] = []
        for uri in uris:
            line = (uri.branch or self._command.branch, uri.id)
            if uri.floats and line in self._drafted:
                answers[uri] = await self._foretell(self._drafted[line])
            elif uri.floats and line in self._prepared.pins:
                answers[uri] = self._prepared.pins[line]
            elif uri.floats and self._trust and (known := self._heads.get(line)) is not None:
                answers[uri] = self._prepared.pins[line] = known
            else:
                asked.append(uri)
        if asked:
            context = Context(self._command.branch)
            for uri, ref in zip(asked, await self._vibes.resolve(asked, context, NOW), strict=True):
                answers[uri] = ref
                if uri.floats and ref is not None:
                    line = (uri.branch or self._command.branch, uri.id)
                    self._prepared.pins[line] = ref
                    self._heads.put(line, ref)
        return answers

    async def _foretell(self, index: int) -> str:
        """The ref that an earlier draft will have, if nobody refines its id meanwhile; the commit checks."""
        prepared = self._prepared.drafts[index]
        if prepared.foretold is None:
            draft = prepared.draft
            row = await self._vibes.database.first("next_revisions", draft.id, list(draft.branches))
            assert row is not None
            revision = int(row["revision"])
            for before, other in enumerate(self._command.drafts[:index]):
                if other.id == draft.id and set(other.branches) & set(draft.branches):
                    ref = await self._foretell(before)
                    revision = max(revision, int(ref.rpartition("?")[2]) + 1)
            prepared.foretold = f"{draft.branches[0]}@{draft.id}?{revision}"
            if prepared.schema is not None:
                self._extra[prepared.foretold] = prepared.schema
        return prepared.foretold
