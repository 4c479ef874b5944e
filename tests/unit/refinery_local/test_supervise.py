from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from refinery_core.settings import CannotStart
from refinery_local import leash
from refinery_local.supervise import Child, Part, supervise
from tests.support.waiting import PATIENCE, until

# Notes in a journal that it started and that it drained; is ready when its file is there.
PROGRAM = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def note(word):
    with (folder / "journal").open("a") as journal: journal.write(f"{name} {word}\\n")
def drain(*_):
    note("drained"); (folder / name).unlink(); sys.exit(0)
signal.signal(signal.SIGTERM, drain)
note("started")
(folder / f"{name}.new").write_text(str(os.getpid())); (folder / f"{name}.new").rename(folder / name)
while True: time.sleep(60)
"""


def child(name: str, folder: Path, *, program: str = PROGRAM, grace_seconds: float = 10.0) -> Child:
    async def ready() -> bool:
        return (folder / name).exists()

    command = [sys.executable, "-I", "-S", "-c", program, name, str(folder)]
    return Child(name, command, {}, ready, ready_seconds=PATIENCE, grace_seconds=grace_seconds)


def journal(folder: Path) -> list[str]:
    return (folder / "journal").read_text().splitlines()


@asynccontextmanager
async def supervised(parts: list[Part], reports: list[str]) -> AsyncIterator[asyncio.Event]:
    stop, up = asyncio.Event(), asyncio.Event()

    async def started() -> None:
        up.set()

    running = asyncio.create_task(supervise(parts, stop=stop, started=started, report=reports.append))
    await asyncio.wait((running, asyncio.create_task(up.wait())), return_when=asyncio.FIRST_COMPLETED)
    yield stop
    stop.set()
    await running


async def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    async with supervised([child("one", tmp_path), child("two", tmp_path)], []):
        assert journal(tmp_path) == ["one started", "two started"]
    assert journal(tmp_path)[2:] == ["two drained", "one drained"]


async def test_a_part_that_is_killed_is_reported_and_comes_back(tmp_path: Path) -> None:
    reports: list[str] = []
    async with supervised([child("one", tmp_path), child("two", tmp_path)], reports):
        before = int((tmp_path / "one").read_text())
        os.kill(before, signal.SIGKILL)
        (tmp_path / "one").unlink()
        await until(lambda: "one is back." in reports)
        assert int((tmp_path / "one").read_text()) != before
    assert reports == ["one ended (killed by SIGKILL); starting it again.", "one is back."]


async def test_a_part_that_cannot_start_stops_the_others_and_says_so(tmp_path: Path) -> None:
    broken = child("two", tmp_path, program="raise SystemExit(3)")
    with pytest.raises(CannotStart, match="two did not start: exit code 3"):
        async with supervised([child("one", tmp_path), broken], []):
            pass
    assert journal(tmp_path) == ["one started", "one drained"]


async def test_a_part_that_does_not_drain_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = PROGRAM.replace("signal.SIGTERM, drain", "signal.SIGTERM, signal.SIG_IGN")
    async with supervised([child("one", tmp_path, program=deaf, grace_seconds=0.2)], []):
        pid = int((tmp_path / "one").read_text())
    assert not runs(pid)


async def test_a_stop_while_starting_stops_what_was_started(tmp_path: Path) -> None:
    slow = PROGRAM.replace('note("started")', 'note("started"); time.sleep(60)')
    stop = asyncio.Event()

    async def started() -> None:
        raise AssertionError

    parts: list[Part] = [child("one", tmp_path), child("two", tmp_path, program=slow, grace_seconds=0.5)]
    running = asyncio.create_task(supervise(parts, stop=stop, started=started, report=lambda _: None))
    await until(lambda: (tmp_path / "journal").exists() and "two started" in journal(tmp_path))
    stop.set()
    await running
    assert journal(tmp_path)[-1] == "one drained"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_child_drains_when_its_parent_is_killed(tmp_path: Path, platform: str) -> None:
    if platform == "linux" and sys.platform != "linux":
        pytest.skip("asks the Linux kernel")
    # The other platforms' way works on Linux, too.
    wrapper = (
        "import runpy, sys\n"
        f"sys.platform = {platform!r}\n"
        f"sys.argv = [{leash.__file__!r}, *sys.argv[1:]]\n"
        f"runpy.run_path({leash.__file__!r}, run_name='__main__')"
    )
    parent = (
        "import subprocess, sys, time, signal; from refinery_local import leash\n"
        "program = [sys.executable, '-I', '-S', '-c', sys.argv[2], 'one', sys.argv[3]]\n"
        "command = leash.command(program, at_parent_death=signal.SIGTERM)\n"
        "command = [sys.executable, '-I', '-S', '-c', sys.argv[1], *command[4:]]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent, wrapper, PROGRAM, str(tmp_path)]) as process:
        asyncio.run(until((tmp_path / "one").exists))
        os.kill(process.pid, signal.SIGKILL)
    asyncio.run(until(lambda: "one drained" in journal(tmp_path)))


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
