"""The releases that are stored, each with its programs and with what its ledger asked of the database."""

from __future__ import annotations

import json
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from refinery_core.postgres.release import Release
from refinery_core.release import order

FOLDER: Final = Path(__file__).parent
PROGRAMS: Final = ("services", "clients", "gen")
"""The folders of its Python, in the order of the import path."""
_CONTRACTS: Final = re.compile(r"^((?:OLDEST_)?CONTRACT): Final = (\d+)$", re.MULTILINE)
SUFFIX: Final = ".tar.xz"


@dataclass(frozen=True)
class Released:
    """A release, unpacked."""

    number: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """In which Python finds its programs before today's."""
        return {"PYTHONPATH": os.pathsep.join(str(self.folder / name) for name in PROGRAMS)}

    @property
    def sql(self) -> Release:
        """Its SQL files, and the contracts that they answer."""
        folder = self.folder / "services/refinery_core/postgres"
        numbers = dict(_CONTRACTS.findall((folder / "release.py").read_text()))
        return Release(
            number=self.number,
            contract=int(numbers["CONTRACT"]),
            oldest_contract=int(numbers["OLDEST_CONTRACT"]),
            folder=folder,
        )

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The requests of its ledger to refine() and forecast(), and the answers: see `recording`."""
        calls: list[dict[str, Any]] = json.loads(calls_file(self.number).read_text())
        return calls


def numbers() -> list[str]:
    """The releases that are stored, the last one last."""
    return sorted(
        (file.name.removeprefix("v").removesuffix(SUFFIX) for file in FOLDER.glob(f"v*{SUFFIX}")),
        key=lambda number: order(number) or (),
    )


def programs_file(number: str) -> Path:
    """The file with the programs of a release."""
    return FOLDER / f"v{number}{SUFFIX}"


def calls_file(number: str) -> Path:
    """The file with the calls of a release."""
    return FOLDER / f"v{number}.json"


def unpacked(number: str, into: Path) -> Released:
    """Unpack a release into a folder of its own."""
    with tarfile.open(programs_file(number)) as archive:
        archive.extractall(into, filter="data")
    return Released(number, into)
