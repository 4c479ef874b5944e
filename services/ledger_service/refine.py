"""The one write: prepare, commit, answer; and again if the ledger moved in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ledger_service.commands import Authority, Refine, Refined
from ledger_service.commit import Committer, Outcome
from ledger_service.heads import Heads, Levels
from ledger_service.prepare import Preparation
from ledger_service.prepared import Prepared, PreparedDraft
from refinery_core.errors import (
    CATALOGUE,
    Contention,
    DataCorrupted,
    InvalidField,
    PermissionDenied,
    RefineryError,
    RequestIdReused,
    UnknownReference,
)
from refinery_core.postgres.refinements import refinement_from_row
from refinery_core.serving.principal import Caller
from refinery_core.stored.composition import Composer
from refinery_core.stored.rights import Rights, hidden
from refinery_core.stored.vibes import Vibes, vibe_from_row
from refinery_core.vibe.model import Context, Refinement, Vibe, VibeType
from refinery_core.vibe.refs import EXECUTIONS, SCHEDULES, Ref
from refinery_core.vibe.roles import READS_EVERYTHING, Reader, Rule, Verb

MAX_ATTEMPTS = 10
_FINAL = frozenset({"OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE", "READ_ONLY", "REQUEST_ID_REUSED"})
"""Refusals after which a look for an earlier commit of the request_id is useless or unsafe."""

_OF_AUTHOR = frozenset({"AUTHOR_NOT_ALLOWED", "ROLE_SUPERSEDED", "PERMISSION_DENIED"})
"""Refusals that tell something about the author; with those whose field is author_ref."""
_DERIVED = 5
"""The version of the UUIDs that steps of executions derive as their request_ids."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refiner:
    """Refines; each process has one."""

    def __init__(
        self,
        vibes: Vibes,
        composer: Composer,
        committer: Committer,
        *,
        rights: Rights | None = None,
        heads: int = 50_000,
    ) -> None:
        """Remember the latest refs of so many lines, and the levels of so many branches."""
        self.rights = rights or Rights(vibes.database)
        self._vibes = vibes
        self._composer = composer
        self._committer = committer
        self._heads = Heads(most=heads)
        self.levels = Levels(vibes.database, heads)

    async def refine(self, command: Refine, caller: str) -> Refined:
        """
        Commit the drafts of a request, all or nothing, once, and answer when they are durable.

        Callers are served in turn; `caller` says whose turn this request needs.

        Raises:
            RefineryError: nothing was written; after OutcomeUnknown it may have been.
        """
        try:
            return await self._attempt(command, caller)
        except RefineryError as refusal:
            # A refinement that this request_id committed before is the answer, whatever is refused today.
            if refusal.reason in _FINAL:
                raise
            before = await self._committed_before(command)
            if before is None:
                raise await self._without_what_is_hidden(command, refusal) from refusal.__cause__
            return before

    async def _attempt(self, command: Refine, caller: str) -> Refined:
        for attempt in range(MAX_ATTEMPTS):
            prepared = await self._prepare(command, trust=attempt == 0)
            if command.validate_only:
                outcome = await self._forecast(prepared)
            else:
                outcome = await self._committer.commit(prepared.request(self.rights.root), caller)
            if outcome.kind == "committed":
                return self._answer(prepared, outcome.answer)
            if outcome.kind == "refused":
                if outcome.answer["reason"] == UnknownReference.reason:
                    await self._check_branches(command)
                raise _refusal(outcome)
            if outcome.kind == "replayed":
                return await self._replayed(int(outcome.answer["position"]))
            for line in prepared.pins:
                self._heads.forget(line)
        raise Contention(attempts=MAX_ATTEMPTS)

    async def _check_branches(self, command: Refine) -> None:
        """Refuse an unknown branch of an input by its name: refine() says only that the input is unknown."""
        inputs = (command.author, *command.targets, *command.instructions, *command.budgets)
        for branch in dict.fromkeys(uri.branch or command.branch for uri in inputs if not uri.canonical):
            await self._vibes.check_branch(branch)

    async def _check_reserved(self, command: Refine) -> None:
        """
        Refuse a caller the names and keys of those who carry executions out: it would decide how they end.

        Raises:
            PermissionDenied: it names an execution, or refines where executions and schedules are recorded.
            InvalidField: its request_id can be the one of a step of an execution.
        """
        if command.authority is None:
            return
        is_root = command.principal in self.rights.root
        if is_root or (await self.rights.reader(_caller(command.authority))).carries_out:
            return
        reserved = [draft for draft in command.drafts if draft.id.startswith((EXECUTIONS, SCHEDULES))]
        if command.authority.behalf is not None or reserved:
            draft = reserved[0] if reserved else command.drafts[0]
            raise PermissionDenied(
                principal=command.principal,
                verb=Verb.CARRY_OUT,
                id=draft.id,
                branch=draft.branches[0],
                role=str(command.author),
                problem="only whoever carries executions out may",
            )
        if command.request_id.version == _DERIVED:
            raise InvalidField(
                field="request_id",
                problem="may not be of version 5: those are the keys of executions; take a random one",
            )

    async def _without_what_is_hidden(self, command: Refine, refusal: RefineryError) -> RefineryError:
        """The refusal; an author that the sender neither holds nor may read is one that it does not hold."""
        of_author = refusal.reason in _OF_AUTHOR or refusal.metadata.get("field") == "author_ref"
        if command.authority is None or not of_author or refusal.metadata.get("verb") == Verb.CARRY_OUT:
            return refusal
        author, held = command.author, await self.rights.held(command.authority.names)
        if any(Ref.parse(each.role.ref).id == author.id for each in held):
            return refusal
        reader = await self._reader(command)
        (ref,) = await self._vibes.locate([author], Context(author.branch or "main"))
        if ref is None:
            is_seen = reader.sees(author.id, [author.branch or "main"], VibeType.ROLE)
        else:
            is_seen = not await hidden(self._vibes.database, reader, [ref])
        if is_seen:
            return refusal
        draft = command.drafts[0]
        return PermissionDenied(
            principal=command.principal,
            verb=Verb.REFINE,
            id=draft.id,
            branch=draft.branches[0],
            role=str(author),
            problem="the principal does not hold this Role",
        )

    async def _prepare(self, command: Refine, *, trust: bool) -> Prepared:
        await self._check_reserved(command)
        reader = await self._reader(command)
        preparation = self._preparation(command, reader, trust=trust and not command.validate_only)
        try:
            return await preparation.run()
        except RefineryError:
            if not preparation.remembered:
                raise
        # A remembered head may be the cause: prepare from the database before refusing.
        return await self._preparation(command, reader, trust=False).run()

    def _preparation(self, command: Refine, reader: Reader, *, trust: bool) -> Preparation:
        return Preparation(
            command, self._vibes, self._composer, self._heads, self.levels, trust=trust, reader=reader
        )

    async def _reader(self, command: Refine) -> Reader:
        """The sender's right to read."""
        if command.authority is None:
            return READS_EVERYTHING
        authority, caller = command.authority, _caller(command.authority)
        if not authority.reads_as:
            return await self.rights.reader_as(caller, command.author.id)
        reader = await self.rights.reader(replace(caller, reads_as=authority.reads_as))
        # An execution may name itself, whatever its author may read.
        own = () if authority.behalf is None else (Ref.parse(authority.behalf).id,)
        return reader.joined(Reader([Rule((Verb.READ,), own)]))

    async def _committed_before(self, command: Refine) -> Refined | None:
        row = await self._vibes.database.first("refinement_by_request_id", command.request_id)
        if row is None or command.validate_only:
            return None
        of_another = command.authority is not None and row["principal"] != command.principal
        if row["request_digest"] != command.digest or of_another:
            raise RequestIdReused(request_id=command.request_id)
        return await self._replayed(row["position"])

    async def _replayed(self, position: int) -> Refined:
        database = self._vibes.database
        row = await database.first("refinement_by_position", position)
        if row is None:
            raise DataCorrupted
        vibes = await database.fetch("vibes_of_refinement", position)
        return Refined(refinement_from_row(row), tuple(vibe_from_row(vibe) for vibe in vibes), replayed=True)

    async def _forecast(self, prepared: Prepared) -> Outcome:
        """The answer that refine() would give; its transaction is rolled back."""
        rows = await self._vibes.database.write("forecast", prepared.request(self.rights.root).head.decode())
        return Outcome.from_row(rows[0])

    def _answer(self, prepared: Prepared, answer: dict[str, Any]) -> Refined:
        refinement = _refinement(prepared.command, answer)
        vibes = []
        for draft, ref, revision, digest in zip(
            prepared.drafts, answer["refs"], answer["revisions"], answer["digests"], strict=True
        ):
            vibe = _vibe(draft, ref, revision, digest, refinement)
            vibes.append(vibe)
            if not prepared.command.validate_only:
                self._vibes.keep(vibe)
                if vibe.type is VibeType.ROLE:
                    self.rights.forget()
                for line in [(branch, vibe.id) for branch in vibe.branches]:
                    if self._heads.get(line) is not None:  # Only lines that were looked up are worth a place.
                        self._heads.keep(line, ref)
        return Refined(refinement, tuple(vibes))


def _caller(authority: Authority) -> Caller:
    principal, *groups = authority.names
    return Caller(principal, tuple(groups), authenticated=True)


def _refusal(outcome: Outcome) -> RefineryError:
    return CATALOGUE[outcome.answer["reason"]](**outcome.answer["metadata"])


def _refinement(command: Refine, answer: dict[str, Any]) -> Refinement:
    forecast = command.validate_only
    return Refinement(
        id=UUID(answer["id"]),
        position=0 if forecast else answer["position"],
        request_id=command.request_id,
        principal=command.principal,
        time=_EPOCH + timedelta(microseconds=answer["time"]),
        author_ref=answer["author_ref"],
        target_refs=tuple(answer["target_refs"]),
        instruction_refs=tuple(answer["instruction_refs"]),
        budget_refs=tuple(answer["budget_refs"]),
        vibe_refs=tuple(answer["refs"]),
        chain=answer["chain"],
        request_digest=command.digest,
        held_as=answer.get("held_as"),
        behalf_ref=None if command.authority is None else command.authority.behalf,
    )


def _vibe(draft: PreparedDraft, ref: str, revision: int, digest: bytes, refinement: Refinement) -> Vibe:
    return Vibe(
        ref=ref,
        id=draft.draft.id,
        branches=draft.draft.branches,
        revision=revision,
        type=draft.draft.type,
        author_ref=refinement.author_ref,
        prototype_ref=draft.prototype_ref,
        refinement_id=refinement.id,
        position=refinement.position,
        time=refinement.time,
        content_digest=draft.content_digest,
        digest=digest,
        schema_refs=draft.schema_refs,
        context=draft.context,
        schema=draft.schema,
        solution=draft.solution,
    )
