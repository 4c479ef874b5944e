"""The Roles that somebody holds, read from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from refinery_core.errors import PermissionDenied
from refinery_core.kept import Kept
from refinery_core.postgres.database import NOW, Database
from refinery_core.serving.authentication.names import KINDS, is_name
from refinery_core.serving.principal import Caller
from refinery_core.settings import CannotStart
from refinery_core.vibe.roles import GENESIS, READS_EVERYTHING, Reader, Role, Rule, Verb

REMEMBERED_SECONDS: Final = 1.0
"""So long somebody may still read after a Role was withdrawn, at the most."""
REMEMBERED_READERS: Final = 10_000
GENESIS_ROLE: Final = Role(f"main@{GENESIS}?1")


@dataclass(frozen=True, slots=True)
class Held:
    """A Role in force, and the name by which somebody holds it."""

    role: Role
    held_as: str


class Rights:
    """Reads which Roles somebody holds. `root` are the principals that hold system/genesis."""

    def __init__(self, database: Database, root: frozenset[str] = frozenset()) -> None:
        self._database = database
        self.root = root
        self._readers = _readers()
        self._turns: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()
        """Many calls of one caller want its rights at once; one of them reads, and the others wait for it."""
        self._seal: bytes | None = None

    async def held(self, names: Sequence[str], as_of: int = NOW) -> list[Held]:
        """
        The Roles in force that a principal and its groups hold, with their rules; system/genesis first.

        The first of the names is that of the principal.
        """
        rows = await self._database.fetch("roles_held", orjson.dumps(names).decode(), as_of)
        held = [Held(GENESIS_ROLE, names[0])] if names[0] in self.root else []
        for (ref, held_as), of_role in groupby(rows, key=lambda row: (row["ref"], row["held_as"])):
            rules = ((row["number"], _rule(row)) for row in of_role if row["number"] is not None)
            held.append(Held(Role(ref, rules=tuple(rules)), held_as))
        return held

    async def reader(self, caller: Caller) -> Reader:
        """
        A caller's right to read, at most a second old; everything where nobody is authenticated.

        Raises:
            PermissionDenied: it would read in the name of a Role, and carries nothing out.
        """
        if not caller.authenticated:
            return READS_EVERYTHING
        key = (caller.reads_as, caller.principal, *caller.groups)
        if (remembered := self._remembered(key)) is not None:
            return remembered
        async with self._turns.setdefault(key, asyncio.Lock()):
            if (remembered := self._remembered(key)) is not None:
                return remembered
            now = asyncio.get_running_loop().time()
            reader = await (self._in_name_of(caller) if caller.reads_as else self._own(caller))
            self._readers.keep(key, (reader, now + REMEMBERED_SECONDS))
            return reader

    def _remembered(self, key: tuple[str, ...]) -> Reader | None:
        kept = self._readers.get(key)
        return kept[0] if kept is not None and asyncio.get_running_loop().time() < kept[1] else None

    async def _own(self, caller: Caller) -> Reader:
        held = await self.held((caller.principal, *caller.groups))
        return Reader(
            (rule for each in held for _, rule in each.role.rules),
            everything=any(each.role.is_genesis for each in held),
        )

    async def _in_name_of(self, caller: Caller) -> Reader:
        if not (await self._own(caller)).carries_out:
            raise PermissionDenied(
                principal=caller.principal,
                verb=Verb.CARRY_OUT,
                id=caller.reads_as,
                branch="main",
                role="any Role",
                problem="only whoever carries executions out reads in the name of a Role",
            )
        if caller.reads_as == GENESIS:
            return READS_EVERYTHING
        return Reader(_rule(row) for row in await self._database.fetch("rules_in_force", caller.reads_as))

    async def reader_as(self, caller: Caller, role_id: str) -> Reader:
        """A caller's right to read as it writes: whoever carries executions out reads as their author."""
        reader = await self.reader(caller)
        if reader.everything or not reader.carries_out:
            return reader
        rows = await self._database.fetch("rules_in_force", role_id)
        return reader.joined(Reader(_rule(row) for row in rows))

    async def seal(self, reader: Reader) -> bytes | None:
        """The key of the page tokens of a reader; None where they may be read."""
        if reader.everything:
            return None
        if self._seal is None:
            row = await self._database.first("seal")
            assert row is not None
            self._seal = bytes(row["seal"])
        return self._seal

    def forget(self) -> None:
        """Forget what was remembered: a Role was refined."""
        self._readers = _readers()


def principals(root: str) -> frozenset[str]:
    """
    Read REFINERY_ROOT: principals between commas.

    Raises:
        CannotStart: one can be no principal, so nobody would hold what is meant for it.
    """
    names = frozenset(name.strip() for name in root.split(",") if name.strip())
    for name in sorted(names):
        if not is_name(name) or not name.startswith(KINDS):
            raise CannotStart(
                f"REFINERY_ROOT: '{name}' is no principal; write one as 'refinery whoami' prints it: "
                "spiffe://…, x509:… or jwt:ISSUER#SUBJECT."
            )
    return names


async def hidden(database: Database, reader: Reader, refs: Iterable[str]) -> dict[str, bytes]:
    """Those of some Vibes that may not be read, with their digests."""
    asked = [] if reader.everything else list(dict.fromkeys(refs))
    if not asked:
        return {}
    rows = await database.fetch("whose", asked)
    return {
        row["ref"]: row["digest"] for row in rows if not reader.sees(row["id"], row["branches"], row["type"])
    }


def _readers() -> Kept[tuple[str, ...], tuple[Reader, float]]:
    """By principal and groups: what they read, and until when that is remembered."""
    return Kept(most=REMEMBERED_READERS)


def _rule(row: Mapping[str, Any]) -> Rule:
    types = row["types"]
    return Rule(
        tuple(row["verbs"]),
        tuple(row["ids"]),
        tuple(row["branches"]),
        None if types is None else tuple(types),
    )
