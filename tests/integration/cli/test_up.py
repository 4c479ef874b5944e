from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import IO, Any

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from refinery_client import Draft, Refinery
from refinery_core.vibe.model import VibeType
from refinery_local import LOCAL_ROLE, temporal
from refinery_local.supervise import serving
from refinery_local.up import up
from tests.support.command import refinery
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


async def test_a_taken_port_is_told_before_anything_starts(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert await up(short_folder, ledger_port=free_port(), resolver_port=port, processes=False) == 1
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
        assert await up(short_folder, processes=False) == 1
    assert f"running already on {short_folder} (process 4711)" in capsys.readouterr().err


async def test_a_folder_that_cannot_be_made_is_told(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (short_folder / "file").touch()
    assert await up(short_folder / "file" / "data", processes=False) == 1
    assert "Cannot use the folder" in capsys.readouterr().err


class Running:
    """`refinery up` in a process of its own."""

    def __init__(self, data: Path, **options: int | bool | str) -> None:
        code = (
            "import asyncio, json, sys; from pathlib import Path; from refinery_local.up import up\n"
            "sys.exit(asyncio.run(up(Path(sys.argv[1]), **json.loads(sys.argv[2]))))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(data), json.dumps(options)],
            # As services have it one by one; together they would get in each other's way.
            env={**os.environ, "REFINERY_METRICS_LISTEN": f"127.0.0.1:{free_port()}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        assert self.process.stderr
        assert self.process.stdout
        self._listener = threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()
        self.endpoints: dict[str, str] = {}
        while "try" not in self.endpoints:
            line = self.process.stdout.readline()
            assert line, self.said
            name, endpoint, *_ = line.split()
            self.endpoints[name] = endpoint

    def _listen(self, stream: IO[str]) -> None:
        self.said.extend(line.rstrip() for line in stream)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        assert not self._listener.is_alive(), "a child outlived its parent"
        assert self.process.stderr
        assert self.process.stdout
        self.process.stderr.close()
        self.process.stdout.close()
        return code


async def get_local_role(port: int) -> bytes:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        answer = await stub.GetVibe(ledger_service_pb2.GetVibeRequest(reference=LOCAL_ROLE), timeout=PATIENCE)
    return bytes(answer.vibe.digest)


async def test_everything_comes_up_survives_and_is_found_again(short_folder: Path) -> None:
    ledger, resolver = free_port(), free_port()
    first = Running(short_folder / "data", ledger_port=ledger, resolver_port=resolver, processes=False)
    assert list(first.endpoints) == ["ledger", "resolver", "postgres", "try"]
    assert first.endpoints["ledger"] == f"127.0.0.1:{ledger}"
    assert first.endpoints["resolver"] == f"127.0.0.1:{resolver}"
    role = await get_local_role(ledger)
    os.kill(int((short_folder / "data/postgres/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while "PostgreSQL is back." not in first.said or not await serving(f"127.0.0.1:{ledger}")():
        assert time.monotonic() < deadline, first.said
        await asyncio.sleep(0.05)
    assert await get_local_role(ledger) == role
    assert first.end(signal.SIGINT) == 0
    assert not (short_folder / "data/postgres/postmaster.pid").exists()

    second = Running(short_folder / "data", ledger_port=ledger, resolver_port=resolver, processes=False)
    assert await get_local_role(ledger) == role
    assert second.end(signal.SIGTERM) == 0


async def test_after_a_sigkill_nothing_is_left_and_the_next_one_takes_over(short_folder: Path) -> None:
    ledger, resolver = free_port(), free_port()
    first = Running(short_folder / "data", ledger_port=ledger, resolver_port=resolver, processes=False)
    role = await get_local_role(ledger)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = Running(short_folder / "data", ledger_port=ledger, resolver_port=resolver, processes=False)
    assert await get_local_role(ledger) == role
    assert second.end(signal.SIGTERM) == 0


async def test_whoever_reaches_the_ledger_finds_the_local_role(short_folder: Path) -> None:
    ledger = free_port()
    found = asyncio.create_task(asyncio.to_thread(role_at_first_sight, ledger))
    await asyncio.sleep(0)
    running = await asyncio.to_thread(
        Running, short_folder / "data", ledger_port=ledger, resolver_port=free_port(), processes=False
    )
    assert await found == LOCAL_ROLE
    assert running.end(signal.SIGTERM) == 0


def role_at_first_sight(port: int) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        get = channel.unary_unary(
            "/refinery.ledger.v1.LedgerService/GetVibe",
            request_serializer=ledger_service_pb2.GetVibeRequest.SerializeToString,
            response_deserializer=ledger_service_pb2.GetVibeResponse.FromString,
        )
        while True:
            try:
                answer = get(ledger_service_pb2.GetVibeRequest(reference=LOCAL_ROLE), timeout=60)
            except grpc.RpcError as refused:
                if refused.code() is not grpc.StatusCode.UNAVAILABLE:
                    return str(refused.code())
            else:
                return str(answer.vibe.ref)


def test_in_the_background_everything_answers_when_the_command_returns(short_folder: Path) -> None:
    ledger, data = free_port(), short_folder / "data"
    options = ("--ledger-port", str(ledger), "--resolver-port", str(free_port()), "--no-processes")
    done = refinery("up", "--detach", "--data", data, *options)
    assert done.err == ""
    told = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert list(told) == ["ledger", "resolver", "postgres", "try", "log", "stop"]
    assert told["ledger"] == f"127.0.0.1:{ledger}"
    assert asyncio.run(get_local_role(ledger))
    twice = refinery("up", "--detach", "--data", data, *options, expect=1)
    assert twice.out == ""
    assert "is running already" in twice.err
    assert refinery(*told["stop"].split()[1:]).out == "Stopped.\n"
    assert not (data / "postgres/postmaster.pid").exists()
    assert "Stopping" in Path(told["log"]).read_text()
    nobody = refinery("down", "--data", data, expect=2)
    assert f"No 'refinery up' is running on {data}." in nobody.err


PROCESS = {
    "document": {"dsl": "1.0.3", "namespace": "tests", "name": "approved", "version": "1.0.0"},
    "do": [
        {"ask": {"listen": {"to": {"one": {"with": {"type": "refinery.approval.v1"}}}}}},
        {"tell": {"set": {"told": True}}},
    ],
}


def status(page: str) -> int:
    with urllib.request.urlopen(page, timeout=10) as answer:
        return int(answer.status)


async def test_an_execution_survives_everything_that_carries_it_out(short_folder: Path) -> None:
    names = ("ledger_port", "resolver_port", "process_port", "temporal_port", "temporal_ui_port")
    ports = {name: free_port() for name in names}
    first = Running(short_folder / "data", **ports)
    assert list(first.endpoints) == [
        "ledger", "resolver", "process", "postgres", "temporal", "page", "try"
    ]  # fmt: skip
    assert await asyncio.to_thread(status, first.endpoints["page"]) == 200
    addresses: dict[str, Any] = {name: first.endpoints[name] for name in ("ledger", "resolver", "process")}
    id_ = uuid.uuid4()
    async with Refinery.connect(**addresses, timeout_seconds=PATIENCE) as refinery:
        draft = Draft(type=VibeType.PROCESS, id="processes/approved", solution=PROCESS)
        await refinery.refine(author_ref=LOCAL_ROLE, drafts=[draft])
        await refinery.execute_process("aug:/processes/approved", author_ref=LOCAL_ROLE, request_id=id_)
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        second = Running(short_folder / "data", **ports)
        await refinery.send_event(id_, author_ref=LOCAL_ROLE, id="yes", type="refinery.approval.v1")
        async for news in refinery.watch_execution(id_):
            last = news.execution
        assert last is not None
        assert last.result_ref is not None
        assert (await refinery.get_vibe(last.result_ref)).solution == {"told": True}
    assert second.end(signal.SIGINT) == 0


async def test_without_the_package_of_temporal_one_sentence_says_what_to_do(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(temporal, "distribution", missing)
    assert await up(short_folder) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--no-processes" in said
    assert not (short_folder / "postgres").exists()
