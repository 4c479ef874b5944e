"""The SQL code that is in force in a database, and whether a program can serve from it.

migrate writes down what it applied: the digest of the files, their release, the contracts that they
answer, and the digest of every function, view and trigger as PostgreSQL shows it then. The digest of the
files says which release it is; the others say whether somebody changed it by hand since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from refinery_core.postgres.release import Release
from refinery_core.release import order

Fetch = Callable[[str], Awaitable[Sequence[Any]]]
"""Gives the rows of a named query."""

MIGRATE: Final = "run 'refinery migrate'"


@dataclass(frozen=True, slots=True)
class Object:
    """A function, view or trigger: the digest of its text, and a stamp that changes when it is made again."""

    sha256: str
    stamp: str


async def standing(fetch: Fetch) -> dict[str, Object]:
    """The objects of the schema, by what DROP calls them: `function refinery.latest(text,text,bigint)`."""
    return {row["object"]: Object(row["sha256"], row["stamp"]) for row in await fetch("code_objects")}


@dataclass(frozen=True, slots=True)
class InForce:
    """The last code that migrate applied."""

    sha256: str
    release: str
    contract: int
    oldest_contract: int
    objects: Mapping[str, str]
    """Digests, by what DROP calls each."""
    comparable: bool
    """Whether the server is of the major version that showed the texts; another may show them differently."""

    @classmethod
    async def read(cls, fetch: Fetch) -> InForce | None:
        """Read the row; None where there is none."""
        rows = await fetch("code_in_force")
        return cls(**{**rows[0], "objects": orjson.loads(rows[0]["objects"])}) if rows else None

    def is_newer_than(self, release: Release) -> bool:
        """Whether it is of a later release."""
        own, other = order(release.number), order(self.release)
        return own is not None and other is not None and other > own

    def altered(self, objects: Mapping[str, Object]) -> str | None:
        """The first of what migrate left that is not there, or not as it was; None where nobody can tell."""
        if not self.comparable:
            return None
        for name, sha256 in sorted(self.objects.items()):
            if name not in objects or objects[name].sha256 != sha256:
                return name
        return None


def unfit(release: Release, found: InForce | None, objects: Mapping[str, Object]) -> str | None:
    """Say in one sentence why a program of a release cannot serve from this code; None where it can."""
    if found is None:
        return f"The database does not say which SQL code is in force: {MIGRATE}."
    if (name := found.altered(objects)) is not None:
        return f"The {name} is not as 'refinery migrate' left it: {MIGRATE}."
    if found.sha256 == release.sha256:
        return None
    if found.release == release.number:
        return f"The SQL code in force is not this program's, though both are {release.number}: {MIGRATE}."
    if not found.is_newer_than(release):
        return f"The SQL code in force is of {found.release}, this program of {release.number}: {MIGRATE}."
    if not found.oldest_contract <= release.contract <= found.contract:
        return (
            f"The SQL code in force is of {found.release}, which does not serve programs of {release.number} "
            "any more: start a newer version of this program."
        )
    return None


def newer(release: Release, found: InForce | None, applied: Sequence[str]) -> str | None:
    """Say in one sentence how a database is newer than what serves from it; None where it is not."""
    what = None
    if found is not None and found.sha256 != release.sha256 and found.is_newer_than(release):
        what = f"was migrated to {found.release}"
    elif unknown := set(applied) - {script.name for script in release.state}:
        what = f"has {max(unknown)}, which is of a newer version"
    return what and f"The database {what}; it serves this program of {release.number} as well."
