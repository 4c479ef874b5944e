"""What the demo plays on: a `refinery up` of its own, commands that are shown, claims that are checked."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

DATA = Path(".demo")
PROGRAMS = Path(sys.executable).parent
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """What a command printed."""

    out: str
    err: str


def check(claim: bool, words: str) -> None:
    """Stop unless it is true."""
    if not claim:
        fail(f"This should hold, and does not: {words}.")


def fail(sentence: str) -> NoReturn:
    """End the demo."""
    raise SystemExit(f"\n{sentence}")


def schema_file(folder: Path, name: str) -> Path:
    """Where a schema is kept, under the name by which the others refer to it."""
    return folder / f"{name}.SNAPSHOT.schema.json"


@dataclass
class Stage:
    """A running Refinery, and the audience."""

    environment: dict[str, str]
    begun: float
    times: list[tuple[str, float]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Stage]:
        """Start on an empty folder, and stop in order at the end."""
        begun = time.monotonic()
        _clear()
        names = ("ledger", "resolver", "process", "temporal", "temporal-ui")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        options = ["--data", str(DATA)]
        options += [word for name in names for word in (f"--{name}-port", str(ports[name]))]
        _print_command(["refinery", "up", *options], "&")
        with _up(options):
            environment = os.environ | {
                "REFINERY_LEDGER": f"127.0.0.1:{ports['ledger']}",
                "REFINERY_RESOLVER": f"127.0.0.1:{ports['resolver']}",
                "REFINERY_PROCESS": f"127.0.0.1:{ports['process']}",
            }
            for name in ("REFINERY_AUTHOR", "REFINERY_BRANCH", "REFINERY_DATABASE_URL"):
                environment.pop(name, None)
            stage = cls(environment, begun)
            stage.times.append(
                ("PostgreSQL, migrations, Temporal and the services", time.monotonic() - begun)
            )
            yield stage

    def play(self, title: str, step: Callable[[Stage], None]) -> None:
        """Do a step, and take its time."""
        print(f"\n\n━━ {title}")
        begun = time.monotonic()
        step(self)
        self.times.append((title, time.monotonic() - begun))

    def refinery(self, *arguments: str, expect: int = 0, lines: int = 24) -> Result:
        """Run the command, show what it says, and insist on its exit code."""
        return self._run(["refinery", *arguments], expect=expect, lines=lines)

    def program(self, *command: str) -> Result:
        """Run another program of this environment."""
        return self._run(list(command), expect=0, lines=24)

    def quietly(self, *arguments: str) -> str:
        """Run the command for what it prints, without showing it."""
        done = self._done(["refinery", *arguments])
        check(done.returncode == 0, f"'refinery {shlex.join(arguments)}' succeeds: {done.stderr.strip()}")
        return done.stdout

    def _run(self, command: list[str], *, expect: int, lines: int) -> Result:
        _print_command(command)
        begun = time.monotonic()
        done = self._done(command)
        seconds = time.monotonic() - begun
        told = (done.stdout + done.stderr).splitlines()
        for line in told[:lines]:
            print(f"  {line}")
        if len(told) > lines:
            print(f"  … and {len(told) - lines} lines more")
        print(f"  [exit code {done.returncode}, {seconds:.2f} s]")
        check(done.returncode == expect, f"this ends with exit code {expect}")
        return Result(done.stdout, done.stderr)

    def _done(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        program = [str(PROGRAMS / command[0]), *command[1:]]
        return subprocess.run(
            program, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def tell(self, sentence: str) -> None:
        """Say something to the audience."""
        print(f"\n{sentence}")

    def show(self, file: Path) -> None:
        """Show a file."""
        print(f"\n{file}:")
        for line in file.read_text().splitlines():
            print(f"  {line}")

    def word_after(self, name: str, result: Result) -> str:
        """What stands after a word at the beginning of a line."""
        for line in result.out.splitlines():
            first, *rest = line.split()[:2] or [""]
            if first == name and rest:
                return rest[0]
        fail(f"The answer has no {name}.")

    def remember(self, name: str, value: str) -> None:
        """Keep something for a later step."""
        self.kept[name] = value

    def recall(self, name: str) -> str:
        """Give what was kept."""
        return self.kept[name]

    def curtain(self) -> None:
        """Say how long it took."""
        print("\n\n━━ Every claim above was checked, and holds.\n")
        for title, seconds in self.times:
            print(f"  {seconds:6.2f} s  {title}")
        print(f"  {time.monotonic() - self.begun:6.2f} s  in all")
        print(f"\nAll of it is kept in {DATA}: 'refinery up --data {DATA}' finds it again.")


def _clear() -> None:
    """Make the folder empty, unless somebody works in it."""
    if (DATA / "up.lock").exists():
        with (DATA / "up.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fail(f"'refinery up' is running on {DATA}; stop it first.")
    # For root, the data may be elsewhere, behind a link.
    shutil.rmtree((DATA / "postgres").resolve(), ignore_errors=True)
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def _up(options: list[str]) -> Iterator[None]:
    log = DATA / "up.log"
    begun = time.monotonic()
    with log.open("w") as errors:
        running = subprocess.Popen(
            [PROGRAMS / "refinery", "up", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order.
        )
    try:
        assert running.stdout is not None
        # The endpoints are printed when everything answers.
        for line in running.stdout:
            print(f"  {line.rstrip()}")
            if line.startswith("try"):
                break
        else:
            fail(f"'refinery up' did not start:\n{log.read_text()[-2000:]}")
        print(f"  [ready after {time.monotonic() - begun:.2f} s]")
        yield
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(READY_SECONDS)
    check(code == 0, f"'refinery up' stops in order (see {log})")


def _print_command(command: list[str], end: str = "") -> None:
    print(f"\n$ {shlex.join(command)} {end}".rstrip(), flush=True)
