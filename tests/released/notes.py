"""RELEASES.md: a line for each release, and the digests by which it is recognized."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refinery_core.postgres.release import THIS

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "RELEASES.md"
IMAGE: Final = ROOT / "proto/released.binpb"
UNRELEASED: Final = "not yet"


@dataclass(frozen=True)
class Note:
    """A line of the table."""

    version: str
    date: str
    contracts: str
    sql: str
    proto: str


def read() -> list[Note]:
    """The releases, oldest first."""
    rows = [line for line in FILE.read_text().splitlines() if line.startswith("| v")]
    return [
        Note(*(cell.strip().strip("`").removeprefix("v") for cell in row.strip("|").split("|")))
        for row in rows
    ]


def today(date: str) -> Note:
    """The line of the release with today's number."""
    return Note(
        THIS.number,
        date,
        f"{THIS.oldest_contract} to {THIS.contract}",
        THIS.sha256,
        hashlib.sha256(IMAGE.read_bytes()).hexdigest(),
    )


def note(date: str) -> None:
    """Write the line of today's number, in place of the one that there is."""
    new = today(date)
    line = f"| v{new.version} | {new.date} | {new.contracts} | `{new.sql}` | `{new.proto}` |"
    lines = FILE.read_text().splitlines()
    kept = [each for each in lines if not each.startswith(f"| v{new.version} ")]
    FILE.write_text("\n".join([*kept, line]) + "\n")
