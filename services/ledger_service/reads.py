"""The questions that name or list things: Vibes, revisions, refinements, branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from refinery_core.errors import InvalidPageToken, RefinementNotFound, VibeNotFound
from refinery_core.pages import open_token, page_token
from refinery_core.postgres.database import NOW, Database
from refinery_core.postgres.refinements import branch_from_row, refinement_from_row
from refinery_core.postgres.vibes import Vibes, vibe_from_row
from refinery_core.vibe.model import Branch, Context, Refinement, Vibe, VibeType

T = TypeVar("T")

PAGE_BYTES = 3 << 20
"""After so much a page of whole Vibes ends; a message takes 4 MiB."""
READ_AT_ONCE = 32
SIZE_WITHOUT_TEXTS = 3_000

MAX_INT4 = 2**31 - 1
"""The largest revision or ordinal: PostgreSQL takes no larger one, not even to find nothing."""

AFTER_ANY = "\x7f"
"""Sorts after every character of an id: ids that start with p are those from p to before p + AFTER_ANY."""


@dataclass(frozen=True, slots=True)
class VibeFilter:
    """Which Vibes to list. Empty means any; `until` 0 means: all that is there when the list begins."""

    branch: str = ""
    id_prefix: str = ""
    type: VibeType | None = None
    author_ref: str = ""
    after: int = 0
    until: int = 0
    latest_only: bool = False


@dataclass(frozen=True, slots=True)
class RefinementFilter:
    """Which refinements to list, likewise."""

    author_ref: str = ""
    after: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Revisions:
    """Whose versions to list, as seen from where."""

    id: str
    context: Context


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and the token that goes on; empty where nothing does."""

    items: tuple[T, ...]
    next_page_token: str


async def vibe_by_digest(vibes: Vibes, digest: bytes) -> Vibe:
    """
    The Vibe with a digest.

    Raises:
        VibeNotFound: there is none.
    """
    row = await vibes.database.first("ref_by_digest", digest)
    if row is None:
        raise VibeNotFound(reference=digest.hex())
    return (await vibes.by_names([row["ref"]]))[row["ref"]]


async def list_vibes(vibes: Vibes, filter_: VibeFilter, size: int, token: str, *, full: bool) -> Page[Vibe]:
    """A page of Vibes: in ledger order; by id first where a prefix or only the latest is asked for."""
    database = vibes.database
    if filter_.branch:
        await vibes.check_branch(filter_.branch)
    by_id = bool(filter_.id_prefix) or filter_.latest_only
    kinds = (str, int, int) if by_id else (int, int)
    until = min(filter_.until or NOW, await database.last_position())
    last: list[int | str] = ["", 0, -1] if by_id else [0, -1]
    if token:
        until, last = open_token(token, filter_, kinds)
        if int(last[-1]) > MAX_INT4:
            raise InvalidPageToken
    query, arguments = _vibe_query(filter_, until, last, size + 1)
    rows = await database.fetch(query, *arguments)
    found = [vibe_from_row(row) for row in rows[:size]]
    if full:
        found = await whole(vibes, [vibe.ref for vibe in found])
    if len(found) == len(rows):
        return Page(tuple(found), "")
    key = [rows[len(found) - 1][part] for part in (("id",) if by_id else ()) + ("position", "ordinal")]
    return Page(tuple(found), page_token(filter_, until, key))


async def whole(vibes: Vibes, refs: Sequence[str]) -> list[Vibe]:
    """The Vibes with their documents: the first one, and those after it that fit into an answer."""
    answer: list[Vibe] = []
    room = PAGE_BYTES
    for start in range(0, len(refs), READ_AT_ONCE):
        names = refs[start : start + READ_AT_ONCE]
        read = await vibes.by_names(names)
        for name in names:
            room -= _size(read[name])
            if answer and room < 0:
                return answer
            answer.append(read[name])
    return answer


def _size(vibe: Vibe) -> int:
    texts = (vibe.context, vibe.schema, vibe.solution, *vibe.schema_refs)
    return SIZE_WITHOUT_TEXTS + sum(len(text.encode()) for text in texts if text)


def _vibe_query(
    filter_: VibeFilter, until: int, last: Sequence[int | str], size: int
) -> tuple[str, tuple[object, ...]]:
    """The query for the shape of a filter, and its arguments."""
    after, prefix = filter_.after, filter_.id_prefix
    types = [filter_.type] if filter_.type else list(VibeType)
    branches = [filter_.branch] if filter_.branch else []
    before = prefix + AFTER_ANY
    if filter_.latest_only:
        return "list_latest_vibes", (filter_.branch, until, types, prefix, before, last[0], size, after)
    if prefix:
        arguments = (after, until, types, *last, size, prefix, before, branches)
        if filter_.author_ref:
            return "list_vibes_by_author_under_prefix", (*arguments, filter_.author_ref)
        return "list_vibes_under_prefix", arguments
    if filter_.author_ref:
        return "list_vibes_by_author", (after, until, types, *last, size, filter_.author_ref, branches)
    if filter_.branch:
        return "list_vibes_on_branch", (after, until, types, *last, size, filter_.branch)
    if filter_.type:
        return "list_vibes_of_type", (after, until, filter_.type, *last, size)
    return "list_vibes", (after, until, *last, size)


async def list_revisions(vibes: Vibes, asked: Revisions, size: int, token: str, *, full: bool) -> Page[Vibe]:
    """The versions of an id that a context sees, newest first, along the branches it was forked from."""
    until, below = await vibes.as_of(asked.context), MAX_INT4
    if token:
        until, (below,) = open_token(token, asked, (int,))
        if below > MAX_INT4:
            raise InvalidPageToken
    chain = await vibes.database.fetch("branch_chain", asked.context.branch, until)
    if not chain:
        await vibes.check_branch(asked.context.branch)
    found: list[Vibe] = []
    for line in chain:
        wanted = size + 1 - len(found)
        if wanted <= 0:
            break
        rows = await vibes.database.fetch(
            "list_revisions", line["name"], asked.id, line["seen_until"], below, wanted
        )
        found += [vibe_from_row(row) for row in rows]
    if not found and not token:
        raise VibeNotFound(reference=f"aug:/{asked.id}")
    page = await whole(vibes, [vibe.ref for vibe in found[:size]]) if full else found[:size]
    more = len(found) > len(page)
    return Page(tuple(page), page_token(asked, until, [page[-1].revision]) if more else "")


async def refinement(database: Database, query: str, name: UUID | int | str) -> Refinement:
    """
    One refinement, by the named query.

    Raises:
        RefinementNotFound: there is none.
    """
    row = await database.first(query, name)
    if row is None:
        raise RefinementNotFound(name=name)
    return refinement_from_row(row)


async def list_refinements(
    database: Database, filter_: RefinementFilter, size: int, token: str
) -> Page[Refinement]:
    """A page of refinements, in ledger order."""
    until, after = min(filter_.until or NOW, await database.last_position()), filter_.after
    if token:
        until, (after,) = open_token(token, filter_, (int,))
    if filter_.author_ref:
        rows = await database.fetch("list_refinements_by_author", after, until, size + 1, filter_.author_ref)
    else:
        rows = await database.fetch("list_refinements", after, until, size + 1)
    found = tuple(refinement_from_row(row) for row in rows[:size])
    more = len(rows) > size
    return Page(found, page_token(filter_, until, [found[-1].position]) if more else "")


async def list_branches(database: Database, prefix: str, size: int, token: str) -> Page[Branch]:
    """A page of branches, by name."""
    last = ""
    if token:
        _, (last,) = open_token(token, ("branches", prefix), (str,))
    rows = await database.fetch("list_branches", prefix, prefix + AFTER_ANY, last, size + 1)
    found = tuple(branch_from_row(row) for row in rows[:size])
    more = len(rows) > size
    return Page(found, page_token(("branches", prefix), 0, [found[-1].name]) if more else "")
