"""The server: one process, one loop, one port; it stops politely when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_core.serving.around import Around, Metadata
from refinery_core.serving.authentication.authenticating import OPEN, Authentication
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.connections import Connections
from refinery_core.serving.drain import Drain
from refinery_core.serving.ending import end_after
from refinery_core.serving.health import Health, Readiness
from refinery_core.serving.layers import ABOUT_THE_SERVER, LAYERS
from refinery_core.serving.metrics import exposed
from refinery_core.serving.reflection import add_reflection
from refinery_core.serving.standing import Standing
from refinery_core.serving.tls import Tls, TlsSettings
from refinery_core.settings import CannotStart, from_environment, setting

_FINAL: dict[int | None, str] = {
    errno.EADDRINUSE: "the port is taken; stop what uses it, or choose another",
    errno.EACCES: "this user may not use the port; choose one above 1023",
}

_log = structlog.get_logger("refinery.server")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a server: its full name in the contract, and how its servicer is added."""

    name: str
    add: Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """The times that a server waits."""

    grace_seconds: float = 25.0
    """For running calls, once it drains; what still runs then is cancelled."""
    linger_seconds: float = 0.1
    """Between NOT_SERVING and the drain, so that health checks are heard first."""
    end_seconds: float | None = None
    """For everything, from the moment that somebody asks the server to stop; see `ending`. None: no bound."""
    readiness_every_seconds: float = 2.0
    readiness_timeout_seconds: float = 5.0
    tls_every_seconds: float = 10.0
    """Between looks at the files of TLS while nobody connects."""


@dataclass(frozen=True)
class _Process(TlsSettings):
    """Read before everything else, which runs in it."""

    uvloop: bool = setting("0 turns uvloop off", True)
    metrics_listen: str | None = setting("where to serve metrics for Prometheus, HOST:PORT", None)
    metrics_tls: bool = setting("whether metrics are served as the service is, with TLS", False)

    def metrics_served(self) -> Tls | None:
        """The TLS of metrics."""
        if not self.metrics_tls:
            return None
        tls = self.served()
        if tls is None:
            raise CannotStart("REFINERY_METRICS_TLS needs REFINERY_TLS_CERT and REFINERY_TLS_KEY.")
        return tls


async def _always_ready() -> bool:
    return True


async def serve(
    services: Sequence[Service],
    *,
    listen: str,
    drain: Drain,
    tls: Tls | None = None,
    health_listen: str | None = None,
    readiness: Readiness = _always_ready,
    capacity: Capacity | None = None,
    patience: Patience = Patience(),
    connections: Connections | None = None,
    metadata: Metadata = (),
    authentication: Authentication = OPEN,
    started: Callable[[int], None] = lambda _: None,
) -> None:
    """
    Serve until SIGTERM, SIGINT or `drain.ask()`, and return when the last call has ended.

    Health and reflection are served beside the services. At `health_listen` health alone is served, and in
    the clear, for probes that can do no TLS. `started` is told the port once calls
    are taken; with port 0 in `listen` the system chooses one. Every answer carries `metadata`: streams in
    front, others behind. The server is not ready while it could let nobody in.

    Raises:
        CannotStart: nobody can listen there.
    """
    _refuse_taken(listen)
    if health_listen is not None:
        _refuse_taken(health_listen)
    names = [service.name for service in services]
    health = Health(names, drain)
    around = Around(LAYERS, capacity or Capacity(), metadata, authentication)
    options = (connections or Connections()).options()

    def make(where: str) -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(interceptors=(around,), options=options, compression=None)
        for service in services:
            service.add(server)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        add_reflection(server, [*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name])
        return server, _listening(server, where, tls)

    def make_for_probes(where: str) -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(interceptors=(Around(ABOUT_THE_SERVER, Capacity()),), options=options)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        return server, _listening(server, where, None)

    async def is_ready() -> bool:
        return authentication.is_ready and await readiness()

    if authentication.is_on:
        issuers = [issuer.name for issuer in authentication.issuers]
        _log.info("callers are asked who they are", certificates=authentication.certificates, issuers=issuers)
    server = Standing(make, listen)
    async with contextlib.AsyncExitStack() as beside:
        if health_listen is not None:
            await beside.enter_async_context(Standing(make_for_probes, health_listen).beside())
        if tls is not None:
            await beside.enter_async_context(_going_on(tls.follow(patience.tls_every_seconds)))
        with _signals(drain):
            await _run(server, health, drain, readiness=is_ready, patience=patience, started=started)


def _listening(server: grpc.aio.Server, where: str, tls: Tls | None) -> int:
    """Have a server listen, and give its port."""
    try:
        if tls is None:
            return server.add_insecure_port(where)
        return server.add_secure_port(where, tls.credentials())
    except RuntimeError as fault:
        raise CannotStart(f"Cannot listen on {where}.") from fault


async def _run(
    server: Standing,
    health: Health,
    drain: Drain,
    *,
    readiness: Readiness,
    patience: Patience,
    started: Callable[[int], None],
) -> None:
    await server.start()
    following = asyncio.create_task(
        health.follow(
            readiness,
            every_seconds=patience.readiness_every_seconds,
            timeout_seconds=patience.readiness_timeout_seconds,
        )
    )
    try:
        started(server.port)
        await server.serve_until(drain.asked())
        if patience.end_seconds is not None:
            end_after(patience.end_seconds)
        _log.info("draining", grace_seconds=patience.grace_seconds)
        health.stop()
        await asyncio.sleep(patience.linger_seconds)
    finally:
        following.cancel()
        drain.begin()
        await server.stop(patience.grace_seconds)
        _log.info("stopped")


@contextlib.asynccontextmanager
async def _going_on(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on for as long as the block does."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


@contextlib.contextmanager
def _signals(drain: Drain) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, drain.ask)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def _refuse_taken(listen: str) -> None:
    """
    Find out why nobody could listen there, and refuse it in one sentence.

    gRPC does not say why, and is content when only one of the addresses of `localhost` is free.
    """
    if listen.startswith(("unix:", "vsock:")):
        return
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"Cannot listen on '{listen}': write it as HOST:PORT, for example 127.0.0.1:50051.")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as fault:
        raise CannotStart(f"Cannot listen on {listen}: {fault.strerror}.") from fault
    refused = [why for family, *_, address in found if (why := _try(family, address)) is not None]
    final = [_FINAL[why.errno] for why in refused if why.errno in _FINAL]
    if final:
        raise CannotStart(f"Cannot listen on {listen}: {final[0]}.")
    if len(refused) == len(found):
        raise CannotStart(f"Cannot listen on {listen}: {refused[0].strerror}.")


def _try(family: int, address: Any) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address[0] == "::" else 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as fault:
        return fault
    return None


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """
    Run a service: on uvloop, unless REFINERY_UVLOOP=0, and with its metrics at REFINERY_METRICS_LISTEN.

    What it cannot start with is one sentence on stderr, and exit code 1.
    """
    try:
        process = from_environment(_Process)
        with exposed(process.metrics_listen, process.metrics_served()):
            (uvloop.run if process.uvloop else asyncio.run)(main())
    except CannotStart as refusal:
        sys.stderr.write(f"{refusal}\n")
        sys.exit(1)
