from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from refinery_cli.up import up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_taken_port_is_told_before_anything_starts(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert await up(short_folder, ledger_port=free_port(), resolver_port=port) == 1
    printed = capsys.readouterr()
    assert printed.err == f"Port {port} is taken; choose another for the resolver with --resolver-port.\n"
    assert printed.out == ""
    assert not (short_folder / "postgres").exists()


async def test_a_folder_that_is_in_use_is_told_with_the_process(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (short_folder / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        assert await up(short_folder, ledger_port=free_port(), resolver_port=free_port()) == 1
    assert f"running already on {short_folder} (process 4711)" in capsys.readouterr().err


async def test_a_folder_that_cannot_be_made_is_told(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (short_folder / "file").touch()
    assert await up(short_folder / "file" / "data", ledger_port=free_port(), resolver_port=free_port()) == 1
    assert "Cannot use the folder" in capsys.readouterr().err
