"""Keeps a list of parts running: started in order, started again when they die, stopped in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_core.settings import CannotStart
from refinery_local import leash

_GLANCE = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_HEALTHY_SECONDS = 30.0
"""Seconds after which a part that dies is restarted without a pause."""


class Part(Protocol):
    """Something that runs: a service, a database."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    async def start(self) -> None:
        """Return when it is ready; raise CannotStart if it does not get ready."""

    def ended(self) -> str | None:
        """The reason why it does not run, or None while it does."""

    async def stop(self) -> None:
        """Return when it has ended, in order; nothing if it does not run."""

    def kill(self) -> None:
        """End it now."""


@dataclass
class Child:
    """A service as a process; it gets its settings by environment and cannot outlive this process."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    ready_seconds: float = 60.0
    grace_seconds: float = 30.0
    silent: bool = False
    """Whether only its standard error is shown."""
    umask: int = -1
    """The umask of the program; -1 is ours."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C does not reach it, and wait until it is ready."""
        self._forget()
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 -- it takes a millisecond; our own programs
            leash.command(list(self.command), at_parent_death=signal.SIGTERM),
            stdin=subprocess.PIPE,
            # Our own standard output is for the endpoints.
            stdout=subprocess.DEVNULL if self.silent else sys.__stderr__,
            env=os.environ | dict(self.environment),
            start_new_session=True,
            umask=self.umask,
        )
        deadline = time.monotonic() + self.ready_seconds
        while not await self.ready():
            if (why := self.ended()) is not None:
                raise CannotStart(f"{self.name} did not start: {why}.")
            if time.monotonic() > deadline:
                self.kill()
                raise CannotStart(f"{self.name} was not ready after {self.ready_seconds:.0f} s.")
            await asyncio.sleep(_GLANCE)

    def ended(self) -> str | None:
        """The exit code or signal."""
        code = self._process.poll() if self._process else 0
        if code is None:
            return None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    async def stop(self) -> None:
        """Ask it to drain; kill it if that takes longer than its grace."""
        deadline = time.monotonic() + self.grace_seconds
        if self._process and self.ended() is None:
            self._process.terminate()
        while self.ended() is None:
            if time.monotonic() > deadline:
                self.kill()
            await asyncio.sleep(_GLANCE / 4)
        self._forget()

    def kill(self) -> None:
        """End the program and, where there is one, its leash."""
        if self._process and self.ended() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _forget(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = None


def serving(
    address: str, credentials: grpc.ChannelCredentials | None = None
) -> Callable[[], Awaitable[bool]]:
    """Return a check for an address: whether the gRPC server there reports SERVING."""

    def channel_to() -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(address)
        return grpc.aio.secure_channel(address, credentials)

    async def ask() -> bool:
        async with channel_to() as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=2.0
                )
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return ask


async def supervise(
    parts: Sequence[Part],
    *,
    stop: asyncio.Event,
    started: Callable[[], Awaitable[None]],
    report: Callable[[str], None],
) -> None:
    """
    Run the parts until `stop` is set, each started when the ones before it are ready.

    Args:
        parts: The parts, in the order of dependence.
        stop: Set by the caller to end the run; it also ends a start that is under way.
        started: Awaited once, when everything is ready.
        report: Called with one sentence for each part that died or came back.

    Raises:
        CannotStart: A part did not get ready the first time; the others have been stopped.
    """
    begun: list[Part] = []
    watches: list[asyncio.Task[None]] = []
    try:
        for part in parts:
            begun.append(part)
            if not await _unless(stop, part.start()):
                return
            watches.append(asyncio.create_task(_keep_alive(part, report)))
        if await _unless(stop, _awaited(started)):
            await _unless(stop, _all(watches))
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        for part in reversed(begun):
            await part.stop()


async def _awaited(function: Callable[[], Awaitable[None]]) -> None:
    await function()


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, and return whether it was done before `stop` was set."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
        return not stop.is_set()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _end_of(part: Part) -> str:
    while (why := part.ended()) is None:  # noqa: ASYNC110 -- only the operating system knows
        await asyncio.sleep(_GLANCE)
    return why


async def _keep_alive(part: Part, report: Callable[[str], None]) -> None:
    pause, since = _FIRST_PAUSE, time.monotonic()
    while True:
        why = await _end_of(part)
        if time.monotonic() - since > _HEALTHY_SECONDS:
            pause = _FIRST_PAUSE
        report(f"{part.name} ended ({why}); starting it again.")
        await asyncio.sleep(pause)
        pause, since = min(2 * pause, _LONGEST_PAUSE), time.monotonic()
        try:
            await part.start()
        except CannotStart as refusal:
            report(str(refusal))
        else:
            report(f"{part.name} is back.")
