"""A real PgBouncer before a PostgreSQL, where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from refinery_local import leash
from refinery_local.installation import account_for
from refinery_local.postgres import EmbeddedPostgres
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

ROLES = ("refinery_app", "refinery_reader", "postgres")

SETTINGS = """
[databases]
* = host={host} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
"""


@contextmanager
def pgbouncer(server: EmbeddedPostgres, folder: Path, mode: str, *, size: int) -> Iterator[str]:
    """
    Start one, and say where it is: HOST:PORT.

    Args:
        server: What stands behind it.
        folder: Where its own user may read.
        mode: session or transaction.
        size: Connections to the server, for each role.
    """
    assert PROGRAM is not None
    port, host = free_port(), server.url("").partition("host=")[2].partition("&")[0].replace("%2F", "/")
    (folder / "users").write_text("".join(f'"{role}" ""\n' for role in ROLES))
    file = folder / "pgbouncer.ini"
    file.write_text(SETTINGS.format(host=host, port=port, folder=folder, mode=mode, size=size))
    # It takes none for root, and only the user of the server may enter the folder of its socket.
    program = leash.command([PROGRAM, str(file)], at_parent_death=signal.SIGKILL, account=account_for(folder))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/")
    try:
        _wait_for(port, process, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
