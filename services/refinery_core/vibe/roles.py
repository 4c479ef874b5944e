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


@dataclass(frozen=True, slots=True)
class _Covered:
    """The names that some patterns cover, quick to ask: a list asks for each of its rows."""

    exact: frozenset[str]
    under: tuple[str, ...]
    """The beginnings of names; "" for all."""

    @classmethod
    def by(cls, patterns: Iterable[str]) -> _Covered:
        """Take the patterns apart."""
        exact, under = set[str](), set[str]()
        for pattern in patterns:
            if pattern == ALL or pattern.endswith("/**"):
                under.add(pattern[:-2])
            else:
                exact.add(pattern)
        return cls(frozenset(exact), tuple(under))

    def has(self, name: str) -> bool:
        """Whether one of the patterns covers a name."""
        return name in self.exact or name.startswith(self.under)

    def meets(self, prefix: str) -> bool:
        """Whether there can be a name that begins with a prefix and is covered."""
        return any(name.startswith(prefix) for name in self.exact) or any(
            start.startswith(prefix) or prefix.startswith(start) for start in self.under
        )


@dataclass(frozen=True, slots=True)
class _Scope:
    """Rules about the same branches and types, as one."""

    ids: _Covered
    branches: _Covered
    types: frozenset[str] | None


class Reader:
    """The right of somebody to read. A Vibe on several branches may be read if it may be on one of them."""

    __slots__ = ("_scopes", "carries_out", "everything")

    def __init__(self, rules: Iterable[Rule] = (), *, everything: bool = False) -> None:
        """Take the rules of all its Roles. Those about the same branches and types are asked as one."""
        ids: dict[tuple[frozenset[str], frozenset[str] | None], list[str]] = {}
        self.carries_out = False
        for rule in rules:
            self.carries_out = self.carries_out or Verb.CARRY_OUT in rule.verbs
            if Verb.READ not in rule.verbs:
                continue
            branches = frozenset((ALL,) if ALL in rule.branches else rule.branches)
            types = None if rule.types is None else frozenset(rule.types)
            everything = everything or (ALL in rule.ids and ALL in branches and types is None)
            ids.setdefault((branches, types), []).extend(rule.ids)
        self.everything = everything
        self._scopes = tuple(
            _Scope(_Covered.by(patterns), _Covered.by(branches), types)
            for (branches, types), patterns in ids.items()
        )

    def joined(self, other: Reader) -> Reader:
        """A reader of what either reads."""
        both = Reader(everything=self.everything or other.everything)
        both._scopes = self._scopes + other._scopes
        both.carries_out = self.carries_out or other.carries_out
        return both

    def sees(self, id_: str, branches: Iterable[str], type_: str) -> bool:
        """Whether a Vibe may be read."""
        if self.everything:
            return True
        for scope in self._scopes:
            if (
                scope.ids.has(id_)
                and (scope.types is None or type_ in scope.types)
                and any(map(scope.branches.has, branches))
            ):
                return True
        return False

    def may_see(self, id_prefix: str, branch: str) -> bool:
        """Whether there can be a Vibe that may be read, under a prefix and on a branch; "" is any."""
        return self.everything or any(
            scope.ids.meets(id_prefix) and (not branch or scope.branches.has(branch))
            for scope in self._scopes
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


def _goes_on(before: str, member: str) -> bool:
    return before.endswith("*") and member.startswith(before[:-1])


def _rule(rule: Any) -> Rule | None:
    if not isinstance(rule, Mapping) or "do" not in rule or not rule.keys() <= _RULE:
        return None
    if not all(isinstance(value, list) for value in rule.values()):
        return None
    names = {name: tuple(map(str, value)) for name, value in rule.items()}
    return Rule(names["do"], names.get("ids", (ALL,)), names.get("branches", (ALL,)), names.get("types"))
