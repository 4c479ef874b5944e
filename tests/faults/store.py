"""A PostgreSQL that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from refinery_local.postgres import EmbeddedPostgres


@dataclass(frozen=True)
class Store:
    """A PostgreSQL that may be killed, and one database in it."""

    server: EmbeddedPostgres
    name: str

    @property
    def app_url(self) -> str:
        return self.server.url(self.name, "refinery_app")

    @property
    def reader_url(self) -> str:
        return self.server.url(self.name, "refinery_reader")

    @property
    def owner_url(self) -> str:
        return self.server.url(self.name)

    def crash(self) -> None:
        """SIGKILL the server and all its children, each by its id: none of them says another word."""
        pid = self.server.pid
        assert pid is not None
        everybody = [pid, *children(pid)]
        for one in everybody:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.server.kill()


def children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children")
    if told.exists():
        return [int(child) for child in told.read_text().split()]
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]
