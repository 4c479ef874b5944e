"""Reads Vibes for the services: whole by name, from a cache that cannot go stale, and by reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from refinery_core.errors import BranchNotFound, PositionOutOfRange, VibeNotFound
from refinery_core.kept import Kept
from refinery_core.postgres.database import NOW, Database
from refinery_core.vibe import documents
from refinery_core.vibe.model import Context, Vibe, VibeType
from refinery_core.vibe.refs import AugUri


class Vibes:
    """Reads Vibes. A Vibe never changes, so those that were read are kept, up to `cache_bytes`."""

    def __init__(self, database: Database, *, cache_bytes: int = 64 << 20) -> None:
        self.database = database
        self._kept: Kept[str, Vibe] = Kept(cache_bytes)

    def cached(self, name: str) -> Vibe | None:
        """A Vibe by canonical name, if it is in the cache."""
        return self._kept.get(name)

    def keep(self, vibe: Vibe, *, name: str | None = None) -> None:
        """Put a whole Vibe into the cache, under its ref or an alias."""
        self._kept.keep(name or vibe.ref, vibe, _size(vibe))

    async def by_names(self, names: Iterable[str]) -> dict[str, Vibe]:
        """Whole Vibes by canonical name, aliases included; what does not exist is left out."""
        found: dict[str, Vibe] = {}
        wanted: list[str] = []
        for name in dict.fromkeys(names):
            vibe = self.cached(name)
            if vibe is None:
                wanted.append(name)
            else:
                found[name] = vibe
        if wanted:
            for row in await self.database.fetch("vibes_by_name", wanted):
                found[row["name"]] = vibe = vibe_from_row(row)
                self.keep(vibe, name=row["name"])
        return found

    async def as_of(self, context: Context, *, field: str = "context.position") -> int:
        """
        The last position that a context sees; NOW where it is not bounded.

        Raises:
            PositionOutOfRange: it names a position that is not there yet.
        """
        if context.as_of is None:
            return NOW
        if isinstance(context.as_of, datetime):
            row = await self.database.first("position_at_time", context.as_of)
            return int(row["position"]) if row else 0
        last = await self.database.last_position()
        if not 0 <= context.as_of <= last:
            raise PositionOutOfRange(field=field, position=context.as_of, last=last)
        return context.as_of

    async def resolve(self, uris: Sequence[AugUri], context: Context, as_of: int) -> list[str | None]:
        """
        The canonical names that references mean in a context, all from one snapshot; None for nothing.

        A canonical reference is answered with its own name; only by_names() tells whether it exists.

        Raises:
            BranchNotFound: the context's branch, or one that a reference names, does not exist.
        """
        if context.branch != "main":
            await self.check_branch(context.branch)
        open_ = [uri for uri in uris if not uri.canonical]
        answers: dict[AugUri, str | None] = {}
        if open_:
            rows = await self.database.fetch(
                "resolve_references",
                [uri.branch or context.branch for uri in open_],
                [uri.id for uri in open_],
                [uri.revision for uri in open_],
                as_of,
            )
            answers = dict(zip(open_, (row["ref"] for row in rows), strict=True))
        return [str(uri.ref) if uri.canonical else answers[uri] for uri in uris]

    async def find(self, uris: Sequence[AugUri], context: Context) -> list[Vibe]:
        """
        The Vibes that references mean in a context, in order.

        Raises:
            VibeNotFound: one of them means nothing there.
            BranchNotFound: a branch does not exist.
        """
        if len(uris) == 1 and uris[0].canonical and context.branch == "main":
            vibe = self.cached(str(uris[0].ref))
            if vibe is not None:
                return [vibe]
        names = await self.resolve(uris, context, await self.as_of(context))
        found = await self.by_names(name for name in names if name is not None)
        return [found[name] for name in _all_there(uris, names, found)]

    async def locate(self, uris: Sequence[AugUri], context: Context) -> list[str | None]:
        """
        The refs of the Vibes that references mean in a context, in order, without reading the Vibes.

        None stands for nothing.

        Raises:
            BranchNotFound: a branch does not exist.
        """
        names = await self.resolve(uris, context, await self.as_of(context))
        rows = await self.database.fetch("refs_by_name", [name for name in names if name is not None])
        refs = {row["name"]: row["ref"] for row in rows}
        return [None if name is None else refs.get(name) for name in names]

    async def check_branch(self, name: str) -> None:
        """
        Make sure that a branch exists.

        Raises:
            BranchNotFound: it does not.
        """
        if await self.database.first("branch_by_name", name) is None:
            raise BranchNotFound(branch=name)


def _all_there(
    uris: Sequence[AugUri], names: Sequence[str | None], found: Mapping[str, object]
) -> Iterator[str]:
    for uri, name in zip(uris, names, strict=True):
        if name is None or name not in found:
            raise VibeNotFound(reference=uri)
        yield name


def vibe_from_row(row: Mapping[str, Any]) -> Vibe:
    """A Vibe from a row of queries/vibes.sql: whole, or in the BASIC view where the row has no documents."""
    whole = "solution" in row.keys()  # noqa: SIM118 - a Record is not a Mapping
    return Vibe(
        ref=row["ref"],
        id=row["id"],
        branches=tuple(row["branches"]),
        revision=row["revision"],
        type=VibeType(row["type"]),
        author_ref=row["author_ref"],
        prototype_ref=row["prototype_ref"],
        refinement_id=row["refinement_id"],
        position=row["position"],
        time=row["time"],
        content_digest=row["content_digest"],
        digest=row["digest"],
        schema_refs=tuple(row["schema_refs"]),
        context=_answerable(row["context"]) if whole else None,
        schema=_answerable(row["schema"]) if whole else None,
        solution=_answerable(row["solution"]) if whole else None,
    )


def _answerable(stored: str | None) -> str | None:
    """The canonical text: JSONB prints 1e21 as digits, which would be refused if they were sent back."""
    return None if stored is None else documents.restore(stored).text


def _size(vibe: Vibe) -> int:
    return 800 + sum(len(text) for text in (vibe.context, vibe.schema, vibe.solution) if text)
