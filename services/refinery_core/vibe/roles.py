"""
Roles: who holds one, and what it may do. Pure.

The ledger judges by the same rules in SQL, see functions/judge_authority.sql.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "system/genesis"
"""The id of the first Role, which may do everything and is held by the principals of REFINERY_ROOT alone."""

ALL: Final = "**"


class Verb(enum.StrEnum):
    """The verbs that a rule of a Role allows, as its solution writes them."""

    READ = "read"
    REFINE = "refine"
    BRANCH = "branch"
    EXECUTE = "execute"
    SIGNAL = "signal"
    STOP = "stop"
    CALL = "call"
    CARRY_OUT = "carry-out"
    ERASE = "erase"


_RULE: Final = {"do", "ids", "branches", "types"}


def covers(patterns: Iterable[str], name: str) -> bool:
    """Whether one of some patterns (a name, `prefix/**` or `**`) covers a name, or another pattern whole."""
    return any(
        pattern in (ALL, name) or (pattern.endswith("/**") and name.startswith(pattern[:-2]))
        for pattern in patterns
    )


def stands_for(member: str, name: str) -> bool:
    """Whether a member of a Role is a name, or with a trailing `*` how it begins."""
    if member.endswith("*"):
        prefix = member[:-1]
        return name == member or (name.startswith(prefix) and len(name) > len(prefix))
    return member == name


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a Role: a verb, and the Vibes it is for. `types` is None for all of them."""

    verbs: tuple[str, ...]
    ids: tuple[str, ...] = (ALL,)
    branches: tuple[str, ...] = (ALL,)
    types: tuple[str, ...] | None = None

    def allows(self, verb: str, id_: str | None, branch: str | None, type_: str | None) -> bool:
        """Whether it allows a verb; None for an id or branch that plays no part, and for all types."""
        return (
            verb in self.verbs
            and (id_ is None or covers(self.ids, id_))
            and (branch is None or covers(self.branches, branch))
            and (self.types is None or type_ in self.types)
        )


@dataclass(frozen=True, slots=True)
class Role:
    """One revision of a Role: its ref, its members and its rules by their place in `may`."""

    ref: str
    members: frozenset[str] = frozenset()
    rules: tuple[tuple[int, Rule], ...] = ()

    @classmethod
    def of(cls, ref: str, solution: Any) -> Role:
        """Read a Role's solution. A member or rule that is not understood as a whole gives nothing."""
        solution = solution if isinstance(solution, dict) else {}
        members, may = (
            value if isinstance(value := solution.get(name), list) else [] for name in ("members", "may")
        )
        rules = ((number, _rule(rule)) for number, rule in enumerate(may))
        return cls(
            ref,
            frozenset(member for member in members if isinstance(member, str) and member),
            tuple((number, rule) for number, rule in rules if rule is not None),
        )

    @property
    def id(self) -> str:
        """The id that it is a revision of."""
        return self.ref.partition("@")[2].rpartition("?")[0]

    @property
    def is_genesis(self) -> bool:
        """Whether it is the first Role."""
        return self.ref.startswith(f"main@{GENESIS}?")

    def held_by(self, name: str) -> bool:
        """Whether a principal or group is a member."""
        return any(stands_for(member, name) for member in self.members)

    def allows(self, verb: str, id_: str | None, branch: str | None, type_: str | None) -> bool:
        """Whether one of its rules allows a verb."""
        return self.is_genesis or any(rule.allows(verb, id_, branch, type_) for _, rule in self.rules)

    def allows_all(self, verb: str, id_: str, branch: str, types: Sequence[str] | None) -> bool:
        """Whether it allows a verb for each of some types; None is all of them."""
        return all(self.allows(verb, id_, branch, type_) for type_ in types or (None,))


class Reader:
    """The right of somebody to read. A Vibe on several branches may be read if it may be on one of them."""

    __slots__ = ("_exact", "_narrow", "_under", "carries_out", "everything")

    def __init__(self, rules: Iterable[Rule] = (), *, everything: bool = False) -> None:
        """Take the rules of all Roles that it holds. Those about all branches and types are quick to ask."""
        exact, under, self._narrow = set[str](), set[str](), list[Rule]()
        self.carries_out = False
        for rule in rules:
            self.carries_out = self.carries_out or Verb.CARRY_OUT in rule.verbs
            if Verb.READ not in rule.verbs:
                continue
            if rule.types is not None or ALL not in rule.branches:
                self._narrow.append(rule)
                continue
            everything = everything or ALL in rule.ids
            exact.update(rule.ids)
            under.update(id_[:-2] for id_ in rule.ids if id_.endswith("/**"))
        self.everything = everything
        self._exact = frozenset(exact)
        self._under = tuple(under)

    def joined(self, other: Reader) -> Reader:
        """A reader of what either reads."""
        both = Reader(everything=self.everything or other.everything)
        both._exact = self._exact | other._exact
        both._under = self._under + other._under
        both._narrow = self._narrow + other._narrow
        both.carries_out = self.carries_out or other.carries_out
        return both

    def sees(self, id_: str, branches: Iterable[str], type_: str) -> bool:
        """Whether a Vibe may be read."""
        if self.everything or id_ in self._exact or id_.startswith(self._under):
            return True
        return any(rule.allows(Verb.READ, id_, branch, type_) for rule in self._narrow for branch in branches)

    def may_see(self, id_prefix: str, branch: str) -> bool:
        """Whether there can be a Vibe that may be read, under a prefix and on a branch; "" is any."""
        if self.everything or any(_meet(id_, id_prefix) for id_ in (*self._exact, *self._under)):
            return True
        return any(
            (ALL in rule.ids or any(_meet(id_.removesuffix("**"), id_prefix) for id_ in rule.ids))
            and (not branch or covers(rule.branches, branch))
            for rule in self._narrow
        )


READS_EVERYTHING: Final = Reader(everything=True)

NOBODYS: Final = Role("")
"""In place of a revision that is not there."""


def escalates(author: Role, previous: Role, revision: Role) -> bool:
    """Whether a revision of a Role gives more than the previous one and its author's Role have."""
    if author.is_genesis:
        return False
    new_member = any(
        not any(stands_for(before, member) or _goes_on(before, member) for before in previous.members)
        for member in revision.members
    )
    return any(
        not author.allows_all(verb, id_, branch, rule.types)
        and (new_member or not previous.allows_all(verb, id_, branch, rule.types))
        for _, rule in revision.rules
        for verb in rule.verbs
        for id_ in rule.ids
        for branch in rule.branches
    )


def _meet(readable: str, prefix: str) -> bool:
    return readable.startswith(prefix) or (readable.endswith("/") and prefix.startswith(readable))


def _goes_on(before: str, member: str) -> bool:
    return before.endswith("*") and member.startswith(before[:-1])


def _rule(rule: Any) -> Rule | None:
    if not isinstance(rule, Mapping) or "do" not in rule or not rule.keys() <= _RULE:
        return None
    if not all(isinstance(value, list) for value in rule.values()):
        return None
    names = {name: tuple(map(str, value)) for name, value in rule.items()}
    return Rule(names["do"], names.get("ids", (ALL,)), names.get("branches", (ALL,)), names.get("types"))
