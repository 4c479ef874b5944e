"""Reads by name, and lists: Vibes, revisions, refinements, branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from ledger_service.candidates import WHOLE_AT_ONCE, Candidate, Key, M, filled, in_chunks, whole
from ledger_service.seen import seen_refinements
from refinery_core.errors import InvalidPageToken, RefinementNotFound, VibeNotFound
from refinery_core.pages import open_token, page_token
from refinery_core.postgres.database import NOW, Database
from refinery_core.postgres.refinements import branch_from_row, refinement_from_row
from refinery_core.stored.vibes import Vibes, vibe_from_row
from refinery_core.vibe.model import Branch, Context, Refinement, Vibe, VibeType
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

T = TypeVar("T")

FIRST_AT_ONCE = 16
"""A Vibe without its documents can still have a MiB of references: a page begins with few."""
VIBES_AT_ONCE = 128
"""Rows of Vibes read at once: at most 1 MiB each, as a schema has no more references than that."""
REFINEMENTS_AT_ONCE = 20
"""Likewise: a refinement has at most 10,000 inputs and 1,000 Vibes, 5 MB."""

MAX_BATCH = 1_000
"""References that BatchGetVibes takes."""

MAX_INT4 = 2**31 - 1
"""The largest revision or ordinal: PostgreSQL takes no larger one, not even to find nothing."""

AFTER_ANY = "\x7f"
"""Sorts after every character of an id: ids that start with p are those from p to before p + AFTER_ANY."""

RefinementName = tuple[Literal["id", "request_id", "position", "vibe"], UUID | int | str]
"""A kind of name of a refinement, and the name; `vibe` is the ref of one that it made."""


@dataclass(frozen=True, slots=True)
class VibeFilter:
    """A filter of Vibes. Empty means any; `until` 0 means: all that are there when the list begins."""

    branch: str = ""
    id_prefix: str = ""
    type: VibeType | None = None
    author_ref: str = ""
    after: int = 0
    until: int = 0
    latest_only: bool = False


@dataclass(frozen=True, slots=True)
class RefinementFilter:
    """A filter of refinements, likewise."""

    author_ref: str = ""
    after: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Revisions:
    """An id whose versions to list, and the context that sees them."""

    id: str
    context: Context


@dataclass(frozen=True, slots=True)
class Asked(Generic[T, M]):
    """A page to list, and the writer of its items: a page ends where its messages fill an answer."""

    size: int
    token: str
    write: Callable[[T], M]
    reader: Reader = READS_EVERYTHING
    seal: bytes | None = None


@dataclass(frozen=True)
class Page(Generic[M]):
    """A part of a list, as messages, and the token that goes on; empty where nothing does."""

    items: tuple[M, ...]
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


async def refinement(database: Database, name: RefinementName, reader: Reader) -> Refinement:
    """
    Find a refinement.

    Raises:
        RefinementNotFound: there is none.
    """
    kind, value = name
    row = await database.first(f"refinement_by_{kind}", value)
    if row is None:
        raise RefinementNotFound(name=value)
    (seen,) = await seen_refinements(database, reader, [refinement_from_row(row)])
    if seen is not None and isinstance(value, str) and not reader.everything:
        # Of a refinement that made this Vibe and others, which may be read, this one does not tell.
        refs = [named["ref"] for named in await database.fetch("refs_by_name", [value])]
        seen = seen if set(refs) <= set(seen.vibe_refs) else None
    if seen is None:
        raise RefinementNotFound(name=value)
    return seen


# --- Lists --------------------------------------------------------------------------------


async def batch_get_vibes(
    vibes: Vibes, refs: Sequence[str], write: Callable[[Vibe], M], *, full: bool
) -> tuple[M, ...]:
    """The Vibes of some refs, in order: as many as fit into an answer."""

    async def read(key: Key, count: int) -> list[Candidate[Vibe]]:
        (start,) = key
        wanted = refs[start : start + count]
        found = [vibe_from_row(row) for row in await vibes.database.fetch("vibes_by_ref", wanted)]
        return [((place,), vibe) for place, vibe in enumerate(found, start + 1)]

    async def named(key: Key, count: int) -> list[Candidate[Vibe]]:
        (start,) = key
        wanted = refs[start : start + count]
        found = await vibes.by_names(wanted)
        return [((place,), found[ref]) for place, ref in enumerate(wanted, start + 1)]

    at_once = WHOLE_AT_ONCE if full else VIBES_AT_ONCE
    candidates = in_chunks(named if full else read, (0,), at_once, at_once)
    items, _ = await filled(candidates, len(refs), write)
    return items


async def list_vibes(vibes: Vibes, filter_: VibeFilter, asked: Asked[Vibe, M], *, full: bool) -> Page[M]:
    """A page of Vibes: in ledger order; by id first where a prefix or only the latest is asked for."""
    database = vibes.database
    if filter_.branch:
        await vibes.check_branch(filter_.branch)
    by_id = bool(filter_.id_prefix) or filter_.latest_only
    until = min(filter_.until or NOW, await database.last_position())
    key: Key = (filter_.id_prefix, 0, 0) if by_id else (filter_.after, MAX_INT4)
    if asked.token:
        until, key = open_token(asked.token, filter_, (str, int, int) if by_id else (int, int), asked.seal)
        if key[-1] > MAX_INT4:
            raise InvalidPageToken

    async def read(key: Key, count: int) -> list[Candidate[Vibe]]:
        query, arguments = _vibe_query(filter_, until, key, count)
        rows = await database.fetch(query, *arguments)
        key_of = itemgetter("key", "at", "nth") if by_id else itemgetter("at", "nth")
        return [(key_of(row), _vibe(row, asked.reader)) for row in rows if row["at"] <= until or by_id]

    candidates = in_chunks(read, key, min(FIRST_AT_ONCE, asked.size + 1), VIBES_AT_ONCE)
    items, last = await filled(whole(vibes, candidates) if full else candidates, asked.size, asked.write)
    return Page(items, page_token(filter_, until, [*last], asked.seal) if last else "")


def _vibe_query(filter_: VibeFilter, until: int, key: Key, size: int) -> tuple[str, tuple[object, ...]]:
    """The query for the shape of a filter, and its arguments."""
    after, prefix = filter_.after, filter_.id_prefix
    types = [filter_.type] if filter_.type else list(VibeType)
    branches = [filter_.branch] if filter_.branch else []
    before = prefix + AFTER_ANY
    if filter_.latest_only:
        last = key[0] if key[1] else ""  # An id that equals the prefix is listed, too.
        return "list_latest_vibes", (last, size, prefix, before, after, until, types, filter_.branch)
    if prefix:
        rest = (before, after, until, types, branches, filter_.author_ref)
        return "list_vibes_under_prefix", (*key, size, *rest)
    if filter_.author_ref:
        return "list_vibes_by_author", (*key, size, until, filter_.author_ref, types, branches)
    if filter_.branch:
        return "list_vibes_on_branch", (*key, size, until, filter_.branch, types)
    if filter_.type:
        return "list_vibes_of_type", (*key, size, until, filter_.type)
    return "list_vibes", (*key, size, until)


async def list_revisions(vibes: Vibes, revisions: Revisions, asked: Asked[Vibe, M], *, full: bool) -> Page[M]:
    """The versions of an id that a context sees, newest first, along the branches it was forked from."""
    until = await vibes.as_of(revisions.context)
    key: Key = (until, MAX_INT4)
    if asked.token:
        until, key = open_token(asked.token, revisions, (int, int), asked.seal)
        if key[-1] > MAX_INT4:
            raise InvalidPageToken
    lines = await vibes.database.fetch("branch_chain", revisions.context.branch, until)
    if not lines:
        await vibes.check_branch(revisions.context.branch)

    async def read(key: Key, count: int) -> list[Candidate[Vibe]]:
        found: list[Mapping[str, Any]] = []
        while lines and len(found) < count:
            below = min((lines[0]["seen_until"], MAX_INT4), tuple(key))
            wanted = count - len(found)
            rows = await vibes.database.fetch(
                "list_revisions", lines[0]["name"], revisions.id, *below, wanted
            )
            found += rows
            if len(rows) < wanted:
                del lines[0]
        return [((row["at"], row["nth"]), _vibe(row, asked.reader)) for row in found]

    candidates = in_chunks(read, key, min(FIRST_AT_ONCE, asked.size + 1), VIBES_AT_ONCE)
    items, last = await filled(whole(vibes, candidates) if full else candidates, asked.size, asked.write)
    if not items and not asked.token:
        raise VibeNotFound(reference=f"aug:/{revisions.id}")
    return Page(items, page_token(revisions, until, [*last], asked.seal) if last else "")


async def list_refinements(
    database: Database, filter_: RefinementFilter, asked: Asked[Refinement, M]
) -> Page[M]:
    """A page of refinements, in ledger order."""
    until = min(filter_.until or NOW, await database.last_position())
    key: Key = (filter_.after,)
    if asked.token:
        until, key = open_token(asked.token, filter_, (int,), asked.seal)

    async def read(key: Key, count: int) -> list[Candidate[Refinement]]:
        if filter_.author_ref:
            rows = await database.fetch("list_refinements_by_author", *key, count, until, filter_.author_ref)
        else:
            rows = await database.fetch("list_refinements", *key, count, until)
        seen = await seen_refinements(database, asked.reader, [refinement_from_row(row) for row in rows])
        return [((row["at"],), one) for row, one in zip(rows, seen, strict=True)]

    candidates = in_chunks(read, key, asked.size + 1, REFINEMENTS_AT_ONCE)
    items, last = await filled(candidates, asked.size, asked.write)
    return Page(items, page_token(filter_, until, [*last], asked.seal) if last else "")


async def list_branches(database: Database, prefix: str, asked: Asked[Branch, M]) -> Page[M]:
    """A page of branches, by name."""
    filter_, key = ("branches", prefix), [""]
    if asked.token:
        _, key = open_token(asked.token, filter_, (str,), asked.seal)

    async def read(key: Key, count: int) -> list[Candidate[Branch]]:
        rows = await database.fetch("list_branches", prefix, prefix + AFTER_ANY, *key, count)
        return [((row["name"],), _branch(row, asked.reader)) for row in rows]

    items, last = await filled(in_chunks(read, key, asked.size + 1, asked.size + 1), asked.size, asked.write)
    return Page(items, page_token(filter_, 0, [*last], asked.seal) if last else "")


def _vibe(row: Mapping[str, Any], reader: Reader) -> Vibe | None:
    """The Vibe of a candidate; None where the filter leaves it out, or it may not be read."""
    if row["ref"] is None:
        return None
    if not reader.everything and not reader.sees(row["id"], row["branches"], row["type"]):
        return None
    return vibe_from_row(row)


def _branch(row: Mapping[str, Any], reader: Reader) -> Branch | None:
    """A branch, if the Vibe that records it may be read; everybody knows main."""
    branch = branch_from_row(row)
    may_read = branch.ref is None or reader.sees(f"system/branches/{branch.name}", ("main",), VibeType.RECORD)
    return branch if may_read else None
