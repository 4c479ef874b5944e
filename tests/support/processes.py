"""A service as a process of its own, on a port of its own, to be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_local import leash
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


class ServiceProcess:
    """`python -m <module>`, which dies with the test. It has the same address each time it is started."""

    def __init__(self, module: str, database_url: str, log: Path, **settings: str) -> None:
        """Take the module, the database, the file for its log, and further variables of its environment."""
        self._settings = settings
        self._module = module
        self._database_url = database_url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{free_port()}"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def becomes(self, environment: Mapping[str, str]) -> None:
        """Start it in another environment from now on."""
        self._settings = dict(environment)

    @property
    def log(self) -> str:
        """Its log, warnings and worse."""
        return self._log.read_text()

    @property
    def resident_bytes(self) -> int:
        """Its memory in use; 0 if the system does not report it."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return 0
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) * 1024 for line in lines if line[0] == "VmRSS:")

    def start(self) -> None:
        """Start it; only the main thread may. It is not ready yet."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                leash.command([sys.executable, "-m", self._module], at_parent_death=signal.SIGKILL),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "REFINERY_DATABASE_URL": self._database_url,
                    "REFINERY_LISTEN": self.address,
                    "REFINERY_LOG_LEVEL": "warning",
                    **self._settings,
                },
            )

    async def ready(self) -> None:
        """Wait until it says that it serves."""
        deadline = time.monotonic() + PATIENCE
        async with grpc.aio.insecure_channel(self.address, options=FAST_RECONNECT) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while not await _serves(health):
                assert self.is_running, self.log
                assert time.monotonic() < deadline, self.log
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL it, by its id."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def terminate(self) -> None:
        """Ask it to stop."""
        assert self._process is not None
        self._process.terminate()

    def exit_code(self, timeout: float) -> int:
        """Wait for its end."""
        assert self._process is not None
        code = self._process.wait(timeout)
        self._process.communicate()
        return code


def cpu_seconds(pid: int) -> float:
    """The CPU seconds of a process; 0 if the system does not report them."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    # Its name may have spaces, and stands in parentheses.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FAST_RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)
"""A channel option: otherwise a client waits for seconds before it tries a server that came back."""


async def _serves(health: health_pb2_grpc.HealthStub) -> bool:
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=1)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
