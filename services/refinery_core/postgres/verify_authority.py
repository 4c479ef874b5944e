"""Derives again by what right each refinement was made, from the Roles as they stood at its position."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import orjson

from refinery_core.postgres.queries import QUERIES
from refinery_core.postgres.verify_rows import Report, Row
from refinery_core.vibe.refs import EXECUTIONS, SCHEDULES
from refinery_core.vibe.roles import NOBODYS, Role, Verb, escalates

NOT_AUTHENTICATED: Final = frozenset({"anonymous", "migration"})
"""Principals that no right is asked of."""

_BRANCHES: Final = "system/branches/"


@dataclass(frozen=True, slots=True)
class Made:
    """A refinement, as far as rights go; `role` is that of a ROLE on main."""

    id: str
    type: str
    branches: tuple[str, ...]
    role: Role | None

    @classmethod
    def of(cls, vibe: Row) -> Made:
        """Read a row of the query verify_vibes."""
        is_role = vibe["type"] == "ROLE" and "main" in vibe["branches"]
        return cls(
            vibe["id"],
            vibe["type"],
            tuple(vibe["branches"]),
            Role.of(vibe["ref"], _parsed(vibe["solution"])) if is_role else None,
        )


@dataclass(slots=True)
class _Line:
    """The revisions of one Role on main, oldest first."""

    positions: list[int] = field(default_factory=list)
    revisions: list[Role] = field(default_factory=list)

    def at(self, position: int) -> Role:
        """The revision in force for a refinement at a position: the last one before it."""
        place = bisect_left(self.positions, position)
        return self.revisions[place - 1] if place else NOBODYS


class Roles:
    """Every Role on main, with its past."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._lines: defaultdict[str, _Line] = defaultdict(_Line)
        for row in rows:
            line = self._lines[row["id"]]
            line.positions.append(row["position"])
            line.revisions.append(Role.of(row["ref"], _parsed(row["solution"])))

    @classmethod
    async def read(cls, connection: asyncpg.Connection) -> Roles:
        """Read them from the ledger."""
        return cls(await connection.fetch(QUERIES["verify_roles"]))

    def in_force(self, id_: str, position: int) -> Role:
        """The revision of a Role in force at a position; NOBODYS where there is none."""
        return self._lines[id_].at(position) if id_ in self._lines else NOBODYS

    def held(self, name: str, position: int) -> Iterator[Role]:
        """The Roles in force at a position that a name holds."""
        for line in self._lines.values():
            if (role := line.at(position)).held_by(name):
                yield role


def verify_authority(
    report: Report, roles: Roles, row: Row, made: Sequence[Made], executions: Mapping[str, Row]
) -> None:
    """Compare a refinement with the right by which it was made; `executions` has the Vibes of behalf_refs."""
    place, position = f"position {row['position']}", row["position"]
    if row["held_as"] is None:
        if row["principal"] not in NOT_AUTHENTICATED:
            report.find("authority", place, f"was made by '{row['principal']}', and no right was judged")
        return
    author = roles.in_force(_id_of(row["author_ref"]), position)
    if not _is_of(row["held_as"], row["principal"]):
        report.find("authority", place, f"names '{row['held_as']}', which is not of '{row['principal']}'")
    elif author.ref != row["author_ref"]:
        report.find(
            "authority", place, f"was made in the name of '{row['author_ref']}', which was not in force"
        )
    elif not _may(roles, author, row, made, executions):
        report.find("authority", place, f"gave '{row['held_as']}' more than '{row['author_ref']}' allowed")
    elif author.is_genesis:
        report.genesis = sorted({*report.genesis, row["principal"]})
    for each in made:
        if each.role and escalates(author, roles.in_force(each.id, position), each.role):
            report.find("authority", each.role.ref, f"gives more than '{row['author_ref']}' had itself")


def _may(roles: Roles, author: Role, row: Row, made: Sequence[Made], executions: Mapping[str, Row]) -> bool:
    name, position = row["held_as"], row["position"]
    if row["behalf_ref"] is not None:
        may_act = _carries_out(roles, row, executions.get(row["behalf_ref"]))
        if not may_act:
            return False
    else:
        may_act = name == row["principal"] if author.is_genesis else author.held_by(name)
    if may_act and all(_allows(author, each) for each in made):
        return True
    return not author.is_genesis and any(
        all(
            each.type == "RECORD" and role.allows(Verb.CARRY_OUT, each.id, branch, each.type)
            for each in made
            for branch in each.branches
        )
        for role in roles.held(name, position)
    )


def _carries_out(roles: Roles, row: Row, execution: Row | None) -> bool:
    """Whether a refinement was made for an older execution or schedule of the same author, by right."""
    return (
        execution is not None
        and execution["position"] < row["position"]
        and execution["id"].startswith((EXECUTIONS, SCHEDULES))
        and _id_of(execution["author_ref"]) == _id_of(row["author_ref"])
        and any(
            role.allows(Verb.CARRY_OUT, execution["id"], None, None)
            for role in roles.held(row["held_as"], row["position"])
        )
    )


def _allows(author: Role, made: Made) -> bool:
    if made.id.startswith(_BRANCHES):
        return author.allows("branch", None, made.id.removeprefix(_BRANCHES), None)
    return all(author.allows("refine", made.id, branch, made.type) for branch in made.branches)


def _is_of(name: str, principal: str) -> bool:
    """Whether a name is that of a principal, or of a group that the issuer of its token gives."""
    if name == principal:
        return True
    issuer = principal.removeprefix("jwt:").rpartition("#")[0]
    return principal.startswith("jwt:") and name.startswith(f"group:{issuer}#")


def _id_of(ref: str) -> str:
    return ref.partition("@")[2].rpartition("?")[0]


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
