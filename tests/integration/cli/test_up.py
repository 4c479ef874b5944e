from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from refinery_cli.supervise import serving
from refinery_cli.up import LOCAL_ROLE, up


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


class Running:
    """`refinery up` in a process of its own."""

    def __init__(self, data: Path, ledger: int, resolver: int) -> None:
        code = (
            "import asyncio, sys; from pathlib import Path; from refinery_cli.up import up\n"
            "sys.exit(asyncio.run(up(Path(sys.argv[1]), ledger_port=int(sys.argv[2]), "
            "resolver_port=int(sys.argv[3]))))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(data), str(ledger), str(resolver)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        assert self.process.stderr
        assert self.process.stdout
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()
        self.endpoints = [self.process.stdout.readline().split()[0:2] for _ in range(4)]

    def _listen(self, stream: IO[str]) -> None:
        self.said.extend(line.rstrip() for line in stream)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._listener.join(30)
        assert not self._listener.is_alive(), "a child outlived its parent"
        assert self.process.stderr
        assert self.process.stdout
        self.process.stderr.close()
        self.process.stdout.close()
        return code


async def get_local_role(port: int) -> bytes:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        answer = await stub.GetVibe(ledger_service_pb2.GetVibeRequest(reference=LOCAL_ROLE), timeout=5)
    return bytes(answer.vibe.digest)


async def test_everything_comes_up_survives_and_is_found_again(short_folder: Path) -> None:
    ledger, resolver = free_port(), free_port()
    first = Running(short_folder / "data", ledger, resolver)
    assert first.endpoints[0] == ["ledger", f"127.0.0.1:{ledger}"], first.said
    assert first.endpoints[1] == ["resolver", f"127.0.0.1:{resolver}"]
    role = await get_local_role(ledger)
    os.kill(int((short_folder / "data/postgres/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + 15
    while "PostgreSQL is back." not in first.said or not await serving(f"127.0.0.1:{ledger}")():
        assert time.monotonic() < deadline, first.said
        await asyncio.sleep(0.05)
    assert await get_local_role(ledger) == role
    assert first.end(signal.SIGINT) == 0
    assert not (short_folder / "data/postgres/postmaster.pid").exists()

    second = Running(short_folder / "data", ledger, resolver)
    assert await get_local_role(ledger) == role
    assert second.end(signal.SIGTERM) == 0


async def test_after_a_sigkill_nothing_is_left_and_the_next_one_takes_over(short_folder: Path) -> None:
    ledger, resolver = free_port(), free_port()
    first = Running(short_folder / "data", ledger, resolver)
    role = await get_local_role(ledger)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = Running(short_folder / "data", ledger, resolver)
    assert await get_local_role(ledger) == role
    assert second.end(signal.SIGTERM) == 0
