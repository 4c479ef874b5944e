"""Branches are Vibes: to create one is to refine the RECORD system/branches/<name> on main."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from ledger_service.commands import Authority, Draft, Refine, Refined, canonical_name, canonical_object
from ledger_service.refine import Refiner
from refinery_core.errors import BranchExists, BranchTooDeep, InvalidField, RevisionConflict
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe import digests, documents
from refinery_core.vibe.model import Branch, Context, VibeType
from refinery_core.vibe.refs import AugUri

FOLDER = "system/branches/"
MAX_LEVELS = 32
"""Branches from a branch to main, both counted: an id that is new is looked up on each of them."""


@dataclass(frozen=True, slots=True)
class CreateBranch:
    """A branch to be. `fork` None means: at the end of the ledger, when the request is handled."""

    request_id: UUID
    principal: str
    authority: Authority | None
    name: str
    author: AugUri
    parent: str
    fork: int | datetime | None

    @property
    def digest(self) -> bytes:
        """The digest of the request as it was sent, by which a repeated request_id is recognised."""
        return digests.request_digest(
            canonical_object(
                author_ref=canonical_name(str(self.author)),
                fork_position=str(self.fork) if isinstance(self.fork, int) else None,
                fork_time=str(digests.time_us(self.fork)) if isinstance(self.fork, datetime) else None,
                name=canonical_name(self.name),
                parent=None if self.parent == "main" else canonical_name(self.parent),
            )
        )


async def create_branch(
    refiner: Refiner, vibes: Vibes, command: CreateBranch, caller: str
) -> tuple[Branch, Refined]:
    """
    Create a branch, once.

    Raises:
        BranchExists: by another request.
        BranchNotFound: the parent does not exist.
        BranchTooDeep: the parent is as far from main as a branch may be.
        PositionOutOfRange: the ledger does not reach to the fork.
    """
    if command.name == "main":
        raise BranchExists(branch="main")
    await vibes.check_branch(command.parent)
    levels = (await refiner.levels.of([command.parent]))[command.parent]
    if levels >= MAX_LEVELS:
        raise BranchTooDeep(field="parent", branch=command.parent, levels=levels - 1)
    field = "fork_time" if isinstance(command.fork, datetime) else "fork_position"
    as_of = await vibes.as_of(Context(command.parent, command.fork), field=field)
    fork = min(as_of, await vibes.database.last_position())
    if fork < 1:
        raise InvalidField(field=field, problem="is before the first refinement")
    draft = Draft(
        type=VibeType.RECORD,
        id=FOLDER + command.name,
        branches=("main",),
        expected_revision=0,
        prototype=None,
        repin=False,
        context=None,
        schema=None,
        solution=documents.from_value({"parent": command.parent, "fork_position": fork}),
    )
    refine = Refine(
        request_id=command.request_id,
        digest=command.digest,
        principal=command.principal,
        branch="main",
        author=command.author,
        targets=(),
        instructions=(),
        budgets=(),
        drafts=(draft,),
        authority=command.authority,
    )
    try:
        refined = await refiner.refine(refine, caller)
    except RevisionConflict as conflict:
        raise BranchExists(branch=command.name) from conflict
    solution = (await vibes.by_names([refined.vibes[0].ref]))[refined.vibes[0].ref].solution
    assert solution is not None
    recorded = orjson.loads(solution)
    return Branch(command.name, recorded["parent"], recorded["fork_position"], refined.vibes[0].ref), refined
