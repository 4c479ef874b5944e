"""Schema edges, both ways: dependencies and dependents."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from refinery_core.errors import InvalidPageToken
from refinery_core.kept import Kept
from refinery_core.pages import open_token, page_token
from refinery_core.stored.moments import Moment, find, fixed
from refinery_core.stored.rights import hidden
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import Reader
from resolver_service.downwards import Dependency, Downwards, Line

Key = tuple[int, str]
"""The depth and the ref of the last item of a page."""

MAX_DEPTH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Dependencies:
    """A question for the dependencies of a Vibe."""

    reference: AugUri
    context: Context
    transitive: bool


@dataclass(frozen=True, slots=True)
class Dependents:
    """A question for the dependents of a Vibe, or of any version of its id."""

    reference: AugUri
    context: Context
    transitive: bool
    any_revision: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, nearest first, then by ref; the token goes on, and is empty where nothing does."""

    items: tuple[Dependency, ...]
    next_page_token: str


Remembered = Kept[tuple[Dependents, Moment], Sequence[Dependency]]
"""By question and moment, the dependents that are further away than one edge."""


async def list_dependencies(vibes: Vibes, asked: Dependencies, size: int, token: str, reader: Reader) -> Page:
    """
    A page of what a Vibe's schema is composed from: whoever may read the Vibe may read that.

    Raises:
        VibeNotFound: the reference means nothing there.
        InvalidPageToken: the token is not of this list.
    """
    moment, (depth, last) = await _place(vibes, asked.context, asked, token)
    vibe = await find(vibes, asked.reference, moment, reader)
    if asked.transitive:
        rows = await vibes.database.fetch("transitive_dependencies", vibe.ref, depth, last, size + 1)
    else:
        rows = await vibes.database.fetch("direct_dependencies", vibe.ref, last, size + 1)
    return _page([Dependency(*row) for row in rows], size, asked, moment)


async def list_dependents(
    vibes: Vibes, asked: Dependents, size: int, token: str, *, reader: Reader, remembered: Remembered
) -> Page:
    """
    A page of the dependents of a Vibe that may be read, up to the moment of its context.

    Args:
        vibes: The stored Vibes.
        asked: The question.
        size: The most items of the page.
        token: The token of the page before.
        reader: The rights of the caller.
        remembered: The dependents beyond one edge, in order, from earlier pages: all are read to order them.

    Raises:
        VibeNotFound: the reference means nothing there.
        InvalidPageToken: the token is not of this list.
        QuestionTooLarge: more is further away than can be put in order.
    """
    moment, (depth, last) = await _place(vibes, asked.context, asked, token)
    vibe = await find(vibes, asked.reference, moment, reader)
    if asked.any_revision:
        downwards = Downwards(
            vibes.database, moment.position, asked.reference.id, await _line(vibes, asked, moment)
        )
    else:
        downwards = Downwards(vibes.database, moment.position, vibe.ref)
    found: list[Dependency] = []
    after = None if depth > 1 else last if depth else ""
    while after is not None and len(found) <= size:
        page = await downwards.direct(after, size + 1)
        found += await _seen(vibes, reader, page)
        after = page[-1].ref if len(page) > size else None
    if asked.transitive and len(found) <= size:
        beyond = remembered.get((asked, moment))
        if beyond is None:
            beyond = await downwards.beyond()
            remembered.keep((asked, moment), beyond, 1_000 + sum(200 + len(one.ref) for one in beyond))
        start = bisect_right(beyond, (depth, last), key=lambda one: (one.depth, one.ref))
        while len(found) <= size and start < len(beyond):
            some = beyond[start : start + size + 1 - len(found)]
            found += await _seen(vibes, reader, some)
            start += len(some)
    return _page(found, size, asked, moment)


async def _seen(vibes: Vibes, reader: Reader, found: Sequence[Dependency]) -> list[Dependency]:
    """Those that may be read."""
    unseen = await hidden(vibes.database, reader, [one.ref for one in found])
    return [one for one in found if one.ref not in unseen]


async def _place(vibes: Vibes, context: Context, asked: object, token: str) -> tuple[Moment, Key]:
    """The moment and the key at which the list goes on; every page is read at the moment of the first."""
    if not token:
        return await fixed(vibes, context), (0, "")
    until, (depth, ref) = open_token(token, asked, (int, str))
    if depth > MAX_DEPTH:
        raise InvalidPageToken
    return await fixed(vibes, context, until=until), (depth, ref)


async def _line(vibes: Vibes, asked: Dependents, moment: Moment) -> Line:
    """The branches whose versions are seen, and the last position that is seen of each."""
    uri = asked.reference
    branch = moment.branch if uri.canonical or uri.branch is None else uri.branch
    rows = await vibes.database.fetch("branch_chain", branch, moment.position)
    return [row["name"] for row in rows], [row["seen_until"] for row in rows]


def _page(found: Sequence[Dependency], size: int, asked: object, moment: Moment) -> Page:
    if len(found) <= size:
        return Page(tuple(found), "")
    last = found[size - 1]
    return Page(tuple(found[:size]), page_token(asked, moment.position, [last.depth, last.ref]))
