"""A `refinery up` for all tests of the command, and the command as a person runs it."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from refinery_cli.__main__ import run
from tests.conftest import in_memory
from tests.support.command import PROGRAMS, UNSET, Said, environment
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Command:
    """The command, and the `refinery up` that it speaks to."""

    data: Path
    addresses: dict[str, str]

    def __call__(
        self, *tokens: str, stdin: str = "", environment: Mapping[str, str] | None = None, expect: int = 0
    ) -> Said:
        """Run it as its entry point does, and insist on its exit code."""
        out, err = io.StringIO(), io.StringIO()
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr("sys.stdin", given)
            for name in UNSET:
                patch.delenv(name, raising=False)
            for name, value in (self.addresses | dict(environment or {})).items():
                patch.setenv(name, value)
            code = run(tokens)
        said = Said(out.getvalue(), err.getvalue())
        assert code == expect, said
        assert "\x1b" not in said.out + said.err
        return said

    def in_shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of bash in which `refinery` is the command."""
        return subprocess.run(
            ["bash", "-c", line],
            env=environment(self.addresses),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture(scope="session")
def refinery() -> Iterator[Command]:
    """The command before a running Refinery, which all tests share: ids are their own."""
    with in_memory() as data:
        ports = [free_port(), free_port()]
        options = ["--data", str(data), "--ledger-port", str(ports[0]), "--resolver-port", str(ports[1])]
        options.append("--no-processes")
        log = data / "up.log"
        with log.open("w") as errors:
            up = subprocess.Popen(
                [PROGRAMS / "refinery", "up", *options], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        try:
            assert up.stdout is not None
            assert any(line.startswith("try") for line in up.stdout), log.read_text()
            ledger, resolver = (f"127.0.0.1:{port}" for port in ports)
            yield Command(data, {"REFINERY_LEDGER": ledger, "REFINERY_RESOLVER": resolver})
        finally:
            up.send_signal(signal.SIGINT)
            assert up.wait(PATIENCE) == 0
            up.stdout.close()  # type: ignore[union-attr]
