"""Schema edges, both ways: what a Vibe is composed from, and what is composed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refinery_core.errors import InvalidPageToken
from refinery_core.pages import open_token, page_token
from refinery_core.postgres.vibes import Vibes
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import AugUri
from resolver_service.moments import Moment, find, fixed

Key = tuple[int, str]
"""Depth and ref of the last of a page."""

MAX_DEPTH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Dependencies:
    """A question for what a schema is composed from."""

    reference: AugUri
    context: Context
    transitive: bool


@dataclass(frozen=True, slots=True)
class Dependents:
    """A question for whose schemas are composed from a Vibe, or from any version of its id."""

    reference: AugUri
    context: Context
    transitive: bool
    any_revision: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    """A Vibe at the other end, by the shortest way; `floating` is about the last edge of it."""

    ref: str
    depth: int
    floating: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, nearest first, then by ref; the token goes on, and is empty where nothing does."""

    items: tuple[Dependency, ...]
    next_page_token: str


async def list_dependencies(vibes: Vibes, asked: Dependencies, size: int, token: str) -> Page:
    """
    A page of what a Vibe's schema is composed from.

    Raises:
        VibeNotFound: the reference means nothing there.
        InvalidPageToken: the token is not of this list.
    """
    moment, (depth, last) = await _place(vibes, asked.context, asked, token)
    vibe = await find(vibes, asked.reference, moment)
    if asked.transitive:
        rows = await vibes.database.fetch("transitive_dependencies", vibe.ref, depth, last, size + 1)
    else:
        rows = await vibes.database.fetch("direct_dependencies", vibe.ref, last, size + 1)
    return _page([Dependency(*row) for row in rows], size, asked, moment)


async def list_dependents(vibes: Vibes, asked: Dependents, size: int, token: str) -> Page:
    """
    A page of whose schemas are composed from a Vibe, up to the moment of its context.

    Raises:
        VibeNotFound: the reference means nothing there.
        InvalidPageToken: the token is not of this list.
    """
    moment, (depth, last) = await _place(vibes, asked.context, asked, token)
    vibe = await find(vibes, asked.reference, moment)
    refs = await _revisions(vibes, asked.reference, moment) if asked.any_revision else [vibe.ref]
    arguments: tuple[object, ...] = (refs, moment.position)
    if asked.transitive:
        rows = await vibes.database.fetch("transitive_dependents", *arguments, depth, last, size + 1)
    else:
        rows = await vibes.database.fetch("direct_dependents", *arguments, last, size + 1)
    return _page([Dependency(*row) for row in rows], size, asked, moment)


async def _place(vibes: Vibes, context: Context, asked: object, token: str) -> tuple[Moment, Key]:
    """Where the list goes on; every page is read at the moment of the first."""
    if not token:
        return await fixed(vibes, context), (0, "")
    until, (depth, ref) = open_token(token, asked, (int, str))
    if depth > MAX_DEPTH:
        raise InvalidPageToken
    return await fixed(vibes, context, until=until), (depth, ref)


async def _revisions(vibes: Vibes, uri: AugUri, moment: Moment) -> Sequence[str]:
    branch = moment.branch if uri.canonical or uri.branch is None else uri.branch
    chain = await vibes.database.fetch("branch_chain", branch, moment.position)
    rows = await vibes.database.fetch(
        "revisions_seen", uri.id, [line["name"] for line in chain], [line["seen_until"] for line in chain]
    )
    return [row["ref"] for row in rows]


def _page(found: Sequence[Dependency], size: int, asked: object, moment: Moment) -> Page:
    if len(found) <= size:
        return Page(tuple(found), "")
    last = found[size - 1]
    return Page(tuple(found[:size]), page_token(asked, moment.position, [last.depth, last.ref]))
