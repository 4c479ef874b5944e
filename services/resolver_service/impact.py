"""Impact: the Vibes whose solutions would no longer satisfy their schemas if the schema of an id changed."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from refinery_core.errors import (
    InvalidSchema,
    ResolutionTooDeep,
    ResolutionTooLarge,
    SchemaMissing,
    UnknownReference,
    VibeNotFound,
    Violation,
)
from refinery_core.kept import Kept
from refinery_core.schema.validator import Validator
from refinery_core.stored.composition import Composer
from refinery_core.stored.moments import Moment, fixed
from refinery_core.stored.rights import hidden
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.documents import Document
from refinery_core.vibe.model import Context, Vibe
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import Reader
from resolver_service.reach import Reach, Reaching
from resolver_service.repinning import Hypothesis, Repinning

DEFAULT_VIBES = 10_000
MAX_VIBES = 100_000
MAX_VIOLATIONS = 20
VIBES_AT_ONCE = 50
"""Vibes in one part, after a few alone: each solution can be a MiB, and have a schema of its own."""

JUDGES_BYTES = 16 << 20
"""The schemas whose validators are kept while one question is answered."""

_FIELD = "schema"
_NOT_COMPOSABLE = (InvalidSchema, UnknownReference, SchemaMissing, ResolutionTooDeep, ResolutionTooLarge)


class Verdict(enum.Enum):
    """The effect of a change on one Vibe."""

    UNAFFECTED = enum.auto()
    VALID = enum.auto()
    INVALID = enum.auto()
    UNRESOLVABLE = enum.auto()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the schema of an id; `schema` None means the change that was made already."""

    id: str
    branch: str
    schema: Document | None
    max_vibes: int


@dataclass(frozen=True, slots=True)
class Impact:
    """The effect of the change on one Vibe, and its reasons."""

    ref: str
    verdict: Verdict
    depth: int
    violations: tuple[Violation, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Some impacts, nearest first. `truncated`, in the last part, says that max_vibes cut the answer."""

    impacts: tuple[Impact, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class _Judge:
    """The effect of the change on all Vibes with one schema; a validator where their solutions decide."""

    verdict: Verdict
    message: str = ""
    validator: Validator | None = None


async def analyze(vibes: Vibes, composer: Composer, change: Change, reader: Reader) -> AsyncGenerator[Part]:
    """
    Find the effect of a change on the latest versions that its branch sees, and the caller may read.

    Raises:
        BranchNotFound, VibeNotFound: there is no such branch, or nothing of that id on it.
        RefineryError: the changed schema is no schema, or cannot be pinned there.
    """
    moment = await fixed(vibes, Context(change.branch))
    hypothesis = await _hypothesis(vibes, composer, change, moment, reader)
    assessment = _Assessment(vibes, composer, Repinning(vibes, composer, moment, hypothesis), hypothesis.ref)
    reach = Reach(vibes.database, change.id, moment, change.max_vibes)
    size = 1
    async for reached in reach.walk():
        unseen = await hidden(vibes.database, reader, [one.ref for one in reached])
        found = [one for one in reached if one.ref not in unseen]
        start = 0
        while start < len(found):
            yield Part(tuple(await assessment.assess(found[start : start + size])))
            start, size = start + size, min(2 * size, VIBES_AT_ONCE)
    yield Part((), reach.truncated)


async def _hypothesis(
    vibes: Vibes, composer: Composer, change: Change, moment: Moment, reader: Reader
) -> Hypothesis:
    """The latest version as the change would make it."""
    uri = AugUri(None, change.id, None)
    (ref,) = await vibes.resolve([uri], moment.context, moment.position)
    if ref is None or await hidden(vibes.database, reader, [ref]):
        raise VibeNotFound(reference=uri)
    if change.schema is None:
        if (await vibes.by_names([ref]))[ref].schema is None:
            raise SchemaMissing(ref=ref)
        return Hypothesis(change.branch, change.id, ref, None)
    repinning = Repinning(vibes, composer, moment)
    pinned = await repinning.pin(change.schema.value, field=_FIELD, reader=reader)
    await composer.validator(pinned.text, field=_FIELD)
    row = await vibes.database.first("highest_revisions", [change.branch], [change.id])
    assert row is not None
    next_ref = f"{change.branch}@{change.id}?{row['revision'] + 1}"
    return Hypothesis(change.branch, change.id, next_ref, pinned.text)


class _Assessment:
    """Judges Vibes by pinning their schemas anew, each different schema once."""

    def __init__(self, vibes: Vibes, composer: Composer, repinning: Repinning, changed: str) -> None:
        self._vibes = vibes
        self._composer = composer
        self._repinning = repinning
        self._changed = changed
        self._judges: Kept[bytes, _Judge] = Kept(JUDGES_BYTES)

    async def assess(self, part: Sequence[Reaching]) -> list[Impact]:
        """The effect of the change on some Vibes, in order."""
        rows = await self._vibes.database.fetch("schema_digests", [found.ref for found in part])
        judges = {row["ref"]: await self._judge(row["digest"], row["ref"]) for row in rows}
        wanted = [row["ref"] for row in rows if row["has_solution"] and judges[row["ref"]].validator]
        violations = await self._violations(wanted, judges) if wanted else {}
        return [_impact(found, judges[found.ref], violations.get(found.ref, ())) for found in part]

    async def _violations(
        self, refs: Sequence[str], judges: Mapping[str, _Judge]
    ) -> dict[str, tuple[Violation, ...]]:
        found = {}
        for ref, solution in await self._vibes.database.fetch("solutions", refs):
            validator = judges[ref].validator
            assert validator is not None
            found[ref] = await self._composer.violations(validator, solution, MAX_VIOLATIONS)
        return found

    async def _judge(self, digest: bytes, ref: str) -> _Judge:
        judge = self._judges.get(digest)
        if judge is None:
            judge, size = await self._new_judge((await self._vibes.by_names([ref]))[ref])
            self._judges.keep(digest, judge, size)
        return judge

    async def _new_judge(self, vibe: Vibe) -> tuple[_Judge, int]:
        assert vibe.schema is not None
        try:
            repinned = await self._repinning.repin(orjson.loads(vibe.schema), field=_FIELD)
            if self._changed not in repinned.reached:
                return _UNAFFECTED, 100
            validator = await self._composer.validator(
                repinned.pinned.text, field=_FIELD, extra=repinned.extra
            )
        except _NOT_COMPOSABLE as refusal:
            if not await self._repinning.reaches(self._changed, vibe.schema_refs):
                return _UNAFFECTED, 100
            return _Judge(Verdict.UNRESOLVABLE, refusal.message), 1_000
        size = len(vibe.schema) + sum(len(text) for text in repinned.extra.values())
        return _Judge(Verdict.VALID, validator=validator), size


_UNAFFECTED = _Judge(Verdict.UNAFFECTED)


def _impact(found: Reaching, judge: _Judge, violations: tuple[Violation, ...]) -> Impact:
    verdict = Verdict.INVALID if violations else judge.verdict
    return Impact(found.ref, verdict, found.depth, violations, judge.message)
