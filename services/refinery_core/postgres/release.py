"""The SQL of one release: its files, its digest, and which programs its code serves.

The contract between Python and SQL is what queries/*.sql ask of the schema `refinery`, and the requests
that refine() and forecast() take. It only grows. A member that is added to a request may be left out, and
then means what was done before. What cannot grow, such as the columns of an answer, gets a `_v2` beside it,
and CONTRACT is raised; the old one stays for a release. In the release after that it may go, and
OLDEST_CONTRACT is raised. So programs of two releases run beside each other on the code of the newer one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from refinery_core.release import VERSION

CONTRACT: Final = 1
"""The contract that the Python of this version asks for."""
OLDEST_CONTRACT: Final = 1
"""The oldest contract that the SQL of this version still answers."""


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file: `migrations/0001_ledger.sql` and what is in it."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest that the history remembers it by."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True)
class Release:
    """One release: its number, its contracts, and the folder with its SQL files."""

    number: str = VERSION
    contract: int = CONTRACT
    oldest_contract: int = OLDEST_CONTRACT
    folder: Traversable = files(__package__)  # noqa: RUF009 -- it is a path, and stays where it is

    @cached_property
    def migrations(self) -> list[Script]:
        """State: each is applied once, and must never be edited again."""
        return list(self._read("migrations"))

    @cached_property
    def code(self) -> list[Script]:
        """The files that are applied again whenever one of them changed."""
        return [script for name in ("views", "functions", "triggers") for script in self._read(name)]

    @cached_property
    def privileges(self) -> list[Script]:
        """Code as well; it names what the others define."""
        return list(self._read("privileges.sql"))

    @cached_property
    def seeds(self) -> list[Script]:
        """State that needs the code."""
        return list(self._read("seeds"))

    @property
    def state(self) -> list[Script]:
        """Each of which a database of this release has."""
        return [*self.migrations, *self.seeds]

    @cached_property
    def sha256(self) -> str:
        """The digest of the code, and of which contracts it answers."""
        lines = [f"{script.name} {script.sha256}\n" for script in (*self.code, *self.privileges)]
        contracts = f"contracts {self.oldest_contract} {self.contract}\n"
        return hashlib.sha256("".join((*lines, contracts)).encode()).hexdigest()

    def _read(self, name: str) -> Iterator[Script]:
        entry = self.folder.joinpath(name)
        if entry.is_file():
            yield Script(name, entry.read_text(encoding="utf-8"))
        elif entry.is_dir():
            for file in sorted(entry.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".sql"):
                    yield Script(f"{name}/{file.name}", file.read_text(encoding="utf-8"))


THIS: Final = Release()
"""The release that this program is of."""
