"""The Roles that somebody holds, read from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import orjson

from refinery_core.postgres.database import NOW, Database
from refinery_core.vibe.roles import GENESIS, Role, Rule

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

    async def held(self, names: Sequence[str], as_of: int = NOW) -> list[Held]:
        """
        The Roles in force that a principal and its groups hold, with their rules; system/genesis first.

        The first of the names is that of the principal.
        """
        rows = await self._database.fetch("roles_held", orjson.dumps(names).decode(), as_of)
        held = [Held(GENESIS_ROLE, names[0])] if names[0] in self.root else []
        for (ref, held_as), of_role in groupby(rows, key=lambda row: (row["ref"], row["held_as"])):
            rules = (
                (
                    row["number"],
                    Rule(
                        tuple(row["verbs"]),
                        tuple(row["ids"]),
                        tuple(row["branches"]),
                        None if row["types"] is None else tuple(row["types"]),
                    ),
                )
                for row in of_role
                if row["number"] is not None
            )
            held.append(Held(Role(ref, rules=tuple(rules)), held_as))
        return held
