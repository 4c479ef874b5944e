"""A context fixed at one position, so that every lookup of a question sees the same ledger."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_core.errors import VibeNotFound
from refinery_core.postgres.database import NOW
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context, Vibe
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import Reader


@dataclass(frozen=True, slots=True)
class Moment:
    """A branch, and the last position that is seen from it."""

    branch: str
    position: int

    @property
    def context(self) -> Context:
        """The same as a context."""
        return Context(self.branch, self.position)


async def fixed(vibes: Vibes, context: Context, *, until: int = NOW) -> Moment:
    """
    Fix a context at a position: its own, else `until`, else where the ledger ends now.

    Raises:
        PositionOutOfRange: it names a position that is not there yet.
        BranchNotFound: its branch does not exist.
    """
    position = min(await vibes.as_of(context), until)
    if context.branch != "main":
        await vibes.check_branch(context.branch)
    return Moment(context.branch, await vibes.database.last_position() if position == NOW else position)


async def find(vibes: Vibes, uri: AugUri, moment: Moment, reader: Reader) -> Vibe:
    """
    The Vibe that a reference means at a moment; its fragment plays no part.

    Raises:
        VibeNotFound: it means nothing there, or nothing that may be read.
        BranchNotFound: it names a branch that does not exist.
    """
    if uri.canonical:
        name: str | None = str(uri.ref)
    else:
        (name,) = await vibes.resolve([uri], moment.context, moment.position)
    found = await vibes.by_names([name] if name else [])
    if name is None or name not in found:
        raise VibeNotFound(reference=uri)
    vibe = found[name]
    if not reader.everything and not reader.sees(vibe.id, vibe.branches, vibe.type):
        raise VibeNotFound(reference=uri)
    return vibe
