"""The stage of the demo: a `refinery up` of its own, commands that are shown, claims that are checked."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from demo.policy import Policy

DATA = Path(".demo")
PROGRAMS = Path(sys.executable).parent
READY_SECONDS = 60.0
PATIENCE = 120.0
LOG = DATA / "up.log"
SECURED = DATA / "secure" / "env"
"""The variables with which the command reaches the secured services."""


@dataclass(frozen=True)
class Result:
    """The output of a command."""

    out: str
    err: str


def check(claim: bool, words: str) -> None:
    """Stop unless the claim is true."""
    if not claim:
        fail(f"This should hold, and does not: {words}.")


def fail(sentence: str) -> NoReturn:
    """End the demo."""
    raise SystemExit(f"\n{sentence}")


def schema_file(folder: Path, name: str) -> Path:
    """The file of a schema, with the name by which the others refer to it."""
    return folder / f"{name}.SNAPSHOT.schema.json"


@dataclass
class Stage:
    """A running Refinery, and the audience."""

    environment: dict[str, str]
    begun: float
    policy: Policy
    up_pid: int
    times: list[tuple[str, float]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def opened(cls, policy: Policy) -> Iterator[Stage]:
        """Start on an empty folder, and stop in order at the end. Processes may call only the policy."""
        begun = time.monotonic()
        _clear()
        names = ("ledger", "resolver", "process", "temporal", "temporal-ui")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        options = ["--secure", "--data", str(DATA)]
        options += [word for name in names for word in (f"--{name}-port", str(ports[name]))]
        allow = {"REFINERY_HTTP_ALLOW": policy.address}
        _print_command(["refinery", "up", *options], "&", allow)
        with _up(options, os.environ | allow) as up_pid:
            kept = {name: value for name, value in os.environ.items() if not name.startswith("REFINERY_")}
            _print_command([".", str(SECURED)])
            stage = cls(kept | _exported(SECURED), begun, policy, up_pid)
            stage.times.append(
                ("PostgreSQL, migrations, Temporal and the services", time.monotonic() - begun)
            )
            yield stage

    def play(self, title: str, step: Callable[[Stage], None]) -> None:
        """Run a step, and measure its time."""
        print(f"\n\n━━ {title}")
        begun = time.monotonic()
        step(self)
        self.times.append((title, time.monotonic() - begun))

    def refinery(
        self, *arguments: str, expect: int = 0, lines: int = 24, token: Path | None = None
    ) -> Result:
        """Run the command, show its output, and insist on its exit code; with a token, as somebody else."""
        somebody = {} if token is None else {"REFINERY_TOKEN_FILE": str(token)}
        return self._run(["refinery", *arguments], expect=expect, lines=lines, variables=somebody)

    def program(self, *command: str) -> Result:
        """Run another program of this environment."""
        return self._run(list(command), expect=0, lines=24)

    def follow(self, *arguments: str, hears: Callable[[str], None]) -> Result:
        """Run the command, show each line as it comes, and call `hears` with it."""
        _print_command(["refinery", *arguments])
        begun, told = time.monotonic(), []
        with subprocess.Popen(
            [PROGRAMS / "refinery", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            late = threading.Timer(PATIENCE, running.kill)
            late.start()
            try:
                assert running.stdout is not None
                for line in running.stdout:
                    told.append(line)
                    print(f"  {line.rstrip()}", flush=True)
                    hears(line)
                code = running.wait()
            finally:
                late.cancel()
                running.kill()
        print(f"  [exit code {code}, {time.monotonic() - begun:.2f} s]")
        check(code == 0, "this ends with exit code 0")
        return Result("".join(told), "")

    def quietly(self, *arguments: str) -> str:
        """Run the command, and return its output without showing it."""
        done = self._done(["refinery", *arguments])
        check(done.returncode == 0, f"'refinery {shlex.join(arguments)}' succeeds: {done.stderr.strip()}")
        return done.stdout

    def _run(
        self, command: list[str], *, expect: int, lines: int, variables: Mapping[str, str] | None = None
    ) -> Result:
        _print_command(command, variables=variables)
        begun = time.monotonic()
        done = self._done(command, variables)
        seconds = time.monotonic() - begun
        told = (done.stdout + done.stderr).splitlines()
        for line in told[:lines]:
            print(f"  {line}")
        if len(told) > lines:
            print(f"  … and {len(told) - lines} lines more")
        print(f"  [exit code {done.returncode}, {seconds:.2f} s]")
        check(done.returncode == expect, f"this ends with exit code {expect}")
        return Result(done.stdout, done.stderr)

    def _done(
        self, command: list[str], variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        program = [str(PROGRAMS / command[0]), *command[1:]]
        environment = self.environment | dict(variables or {})
        return subprocess.run(
            program, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
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
        """The word after a given one at the beginning of a line."""
        for line in result.out.splitlines():
            first, *rest = line.split()[:2] or [""]
            if first == name and rest:
                return rest[0]
        fail(f"The answer has no {name}.")

    def kill_the_worker(self) -> int:
        """Kill the process worker of our own `refinery up` with SIGKILL; return its pid."""
        pid = _worker_below(self.up_pid)
        os.kill(pid, signal.SIGKILL)
        return pid

    def remember(self, name: str, value: str) -> None:
        """Keep something for a later step."""
        self.kept[name] = value

    def recall(self, name: str) -> str:
        """Return a kept value."""
        return self.kept[name]

    def curtain(self) -> None:
        """Print the times of all steps."""
        print("\n\n━━ Every claim above was checked, and holds.\n")
        for title, seconds in self.times:
            print(f"  {seconds:6.2f} s  {title}")
        print(f"  {time.monotonic() - self.begun:6.2f} s  in all")
        print(f"\nAll of it is kept in {DATA}: 'refinery up --secure --data {DATA}' finds it again.")


def _clear() -> None:
    """Empty the folder, unless a `refinery up` uses it."""
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


def _exported(file: Path) -> dict[str, str]:
    """The variables that a file exports, as `up --secure` writes it."""
    words = (shlex.split(line)[1] for line in file.read_text().splitlines())
    return dict(word.split("=", 1) for word in words)


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
def _up(options: list[str], environment: dict[str, str]) -> Iterator[int]:
    begun = time.monotonic()
    with LOG.open("w") as errors:
        running = subprocess.Popen(
            [PROGRAMS / "refinery", "up", *options],
            env=environment,
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
            fail(f"'refinery up' did not start:\n{LOG.read_text()[-2000:]}")
        print(f"  [ready after {time.monotonic() - begun:.2f} s]")
        yield running.pid
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(READY_SECONDS)
    check(code == 0, f"'refinery up' stops in order (see {LOG})")


def _worker_below(up_pid: int) -> int:
    """The process worker among the descendants of a process; where a leash stays above it, the lower."""
    rows, family, workers = _processes(), {up_pid}, []
    while below := [row for row in rows if row[1] in family and row[0] not in family]:
        family.update(pid for pid, _, _ in below)
        workers += [pid for pid, _, command in below if command.endswith("-m process_worker")]
    check(bool(workers), "a process worker runs below our own 'refinery up'")
    return workers[-1]


def _processes() -> list[tuple[int, int, str]]:
    """All processes: pid, parent's pid, command. Small Linux systems lack `ps`, and others lack /proc."""
    if not Path("/proc/self/stat").exists():
        command = ["/bin/ps", "-A", "-ww", "-o", "pid=,ppid=,command="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        rows = [(*line.split(None, 2), "")[:3] for line in listed]
        return [(int(pid), int(parent), words) for pid, parent, words in rows]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # It has ended since.
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            found.append((int(folder.name), int(parent), " ".join(words).strip()))
    return found


def _print_command(command: list[str], end: str = "", variables: Mapping[str, str] | None = None) -> None:
    before = "".join(f"{name}={value} " for name, value in (variables or {}).items())
    print(f"\n$ {before}{shlex.join(command)} {end}".rstrip(), flush=True)
