"""The `refinery` command as a program: one way to run it, and to read its output."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.waiting import PATIENCE

PROGRAMS: Final = Path(sys.executable).parent
UNSET: Final = ("REFINERY_AUTHOR", "REFINERY_BRANCH", "REFINERY_DATABASE_URL")
"""Variables of the caller that would change the meaning of a command."""


@dataclass(frozen=True)
class Said:
    """The output of a command."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        """The documents on standard output, one to a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which `refinery` and `python` are ours, with some settings."""
    ours = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", **(settings or {})}
    return {name: value for name, value in os.environ.items() if name not in UNSET} | ours


def run(
    *command: str | Path, settings: Mapping[str, str] | None = None, expect: int = 0, cwd: Path | None = None
) -> Said:
    """Run a program, and insist on its exit code."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    said = Said(done.stdout, done.stderr)
    assert done.returncode == expect, (command, said)
    return said


def refinery(*tokens: str | Path, settings: Mapping[str, str] | None = None, expect: int = 0) -> Said:
    """Run `refinery`, and insist on its exit code."""
    return run("refinery", *tokens, settings=settings, expect=expect)


async def refinery_beside(
    *tokens: str | Path, settings: Mapping[str, str] | None = None, expect: int = 0
) -> Said:
    """Run `refinery` beside a server in this event loop, and insist on its exit code."""
    return await asyncio.to_thread(refinery, *tokens, settings=settings, expect=expect)
