"""The answers as a reader sees them: a Vibe that it may not read is as if it did not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from refinery_core.errors import VibeNotFound
from refinery_core.postgres.database import Database
from refinery_core.stored.rights import hidden
from refinery_core.vibe.model import Refinement, Vibe
from refinery_core.vibe.roles import Reader


def sees(reader: Reader, vibe: Vibe) -> bool:
    """Whether a Vibe may be read."""
    return reader.everything or reader.sees(vibe.id, vibe.branches, vibe.type)


def check_seen(reader: Reader, vibe: Vibe, reference: object) -> Vibe:
    """
    Give a Vibe that may be read.

    Raises:
        VibeNotFound: it may not.
    """
    if not sees(reader, vibe):
        raise VibeNotFound(reference=reference)
    return vibe


async def seen_refinements(
    database: Database, reader: Reader, refinements: Sequence[Refinement]
) -> list[Refinement | None]:
    """Refinements without the refs of what may not be read; None where none of its Vibes may be."""
    if reader.everything:
        return [*refinements]
    unseen = await hidden(
        database,
        reader,
        (
            ref
            for one in refinements
            for refs in (one.vibe_refs, one.target_refs, one.instruction_refs, one.budget_refs)
            for ref in refs
        ),
    )
    return [_without(one, unseen) for one in refinements]


def _without(refinement: Refinement, unseen: dict[str, bytes]) -> Refinement | None:
    def seen(refs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(ref for ref in refs if ref not in unseen)

    made = seen(refinement.vibe_refs)
    if not made:
        return None
    return replace(
        refinement,
        vibe_refs=made,
        target_refs=seen(refinement.target_refs),
        instruction_refs=seen(refinement.instruction_refs),
        budget_refs=seen(refinement.budget_refs),
    )
