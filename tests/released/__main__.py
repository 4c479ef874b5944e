"""`make release`: stores the commit as the release of its number. CONTRIBUTING.md says when."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from refinery_core.postgres.migrate import create_database, migrate
from refinery_core.release import VERSION
from refinery_local.postgres import SUPERUSER, EmbeddedPostgres
from tests.conftest import Database
from tests.released import notes
from tests.released.recording import recorded
from tests.released.stored import PROGRAMS, calls_file, programs_file

ROOT: Final = Path(__file__).parents[2]


def main() -> None:
    """Store the programs, the image of the contract and the calls, and note the release."""
    parser = argparse.ArgumentParser(prog="make release")
    parser.add_argument("--draft", action="store_true", help="note that it is not released yet")
    draft = parser.parse_args().draft
    if _git("status", "--porcelain", "--", *PROGRAMS, "proto/refinery"):
        sys.exit("Commit first: a release is what is committed.")
    image = [
        str(Path(sys.executable).with_name("buf")),
        "build",
        "--exclude-source-info",
        "-o",
        str(notes.IMAGE),
    ]
    subprocess.run(image, cwd=ROOT, check=True)
    programs_file(VERSION).write_bytes(_packed())
    lines = ",\n".join(json.dumps(call, ensure_ascii=False) for call in _calls())
    calls_file(VERSION).write_text(f"[\n{lines}\n]\n")
    date = notes.UNRELEASED if draft else datetime.now(tz=UTC).date().isoformat()
    notes.note(date)
    print(f"Stored v{VERSION}, {programs_file(VERSION).stat().st_size >> 10} KiB. Look at it, and commit it.")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def _packed() -> bytes:
    """The programs, in the same bytes for the same commit: without users, times and modes."""
    into = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", "HEAD", *PROGRAMS))) as committed,
        tarfile.open(fileobj=into, mode="w", format=tarfile.USTAR_FORMAT) as packed,
    ):
        for member in sorted(committed.getmembers(), key=lambda member: member.name):
            if member.isfile():
                plain = tarfile.TarInfo(member.name)
                plain.size = member.size
                packed.addfile(plain, committed.extractfile(member))
    return lzma.compress(into.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def _calls() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server:
            app, reader, owner = (
                server.url("released", role) for role in ("refinery_app", "refinery_reader", SUPERUSER)
            )
            return asyncio.run(_recorded(Database("released", app, reader, owner)))


async def _recorded(database: Database) -> list[dict[str, Any]]:
    await create_database(database.owner_url)
    await migrate(database.owner_url)
    return await recorded(database)


if __name__ == "__main__":
    main()
