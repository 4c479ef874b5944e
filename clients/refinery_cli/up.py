"""`refinery up`: everything on this machine, from one folder, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from refinery.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_cli.supervise import Child, Part, serving, supervise
from refinery_core.postgres.embedded import EmbeddedPostgres
from refinery_core.postgres.migrate import create_database, migrate
from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.settings import CannotStart

DATABASE = "refinery"
LOCAL_ROLE = "main@roles/local?1"
_GENESIS = "main@system/genesis?1"
_REQUEST_ID = uuid.uuid5(uuid.NAMESPACE_URL, "refinery:roles/local")
"""The same for ever: a second `up` that finds no answer to the first one's request asks the same again."""
_UNCLEAN_PATIENCE = 10.0
"""Seconds that the children of a killed `up` get to drain."""


@dataclass
class Database:
    """The embedded PostgreSQL as a part; it is migrated whenever it starts."""

    server: EmbeddedPostgres
    name: str = field(default="PostgreSQL", init=False)

    async def start(self) -> None:
        """Start, and bring the database up to this version."""
        self.server.start()
        owner = self.server.url(DATABASE)
        try:
            await create_database(owner)
            await migrate(owner)
        except STORE_FAILURES as fault:
            problem = str(fault).splitlines()[0].rstrip(".")  # Below it, PostgreSQL adds details and hints.
            raise CannotStart(f"The database cannot be migrated: {problem}.") from fault

    def ended(self) -> str | None:
        """Whether the server has gone."""
        return None if self.server.pid is not None else "see postgres/server.log"

    async def stop(self) -> None:
        """Stop the server."""
        self.server.stop()

    def kill(self) -> None:
        """Kill the server; the next start recovers it."""
        self.server.kill()


@dataclass(frozen=True, slots=True)
class Service:
    """One service of ours: its module, what it is called, and where it listens."""

    module: str
    name: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def child(self, environment: dict[str, str]) -> Child:
        """Make it a part."""
        return Child(
            name=self.name,
            command=[sys.executable, "-m", self.module],
            environment=environment | {"REFINERY_LISTEN": self.address},
            ready=serving(self.address),
        )


async def up(
    data: Path, *, host: str = "127.0.0.1", ledger_port: int = 50051, resolver_port: int = 50052
) -> int:
    """
    Run PostgreSQL, ledger and resolver on the data in a folder until SIGINT or SIGTERM.

    Prints the endpoints on standard output once everything answers; everything else is on standard error.
    A second signal does not wait for what still drains.

    Returns:
        The exit code: 0 after an orderly end, 1 where something could not start (said in one sentence).
    """
    ledger = Service("ledger_service", "ledger", host, ledger_port)
    resolver = Service("resolver_service", "resolver", host, resolver_port)
    services = (ledger, resolver)
    try:
        with _locked(data) as patience:
            await _see_ports_free(services, patience)
            database = Database(EmbeddedPostgres(data / "postgres"))
            parts: list[Part] = [database]
            parts += [service.child(_environment(database.server)) for service in services]

            async def started() -> None:
                await _refine_local_role(ledger.address)
                _print_endpoints(services, database.server)

            with _signals(parts) as stop:
                await supervise(parts, stop=stop, started=started, report=_report)
    except CannotStart as refusal:
        _report(str(refusal))
        return 1
    return 0


def _environment(server: EmbeddedPostgres) -> dict[str, str]:
    return {
        "REFINERY_DATABASE_URL": server.url(DATABASE, "refinery_app"),
        "REFINERY_LOG_FORMAT": os.environ.get("REFINERY_LOG_FORMAT", "console"),
    }


@contextlib.contextmanager
def _locked(data: Path) -> Iterator[float]:
    """Hold the folder for us alone; give the seconds that children of a killed predecessor may still need."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise CannotStart(f"Cannot use the folder {data}: {fault.strerror}.") from fault
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            holder = os.read(file, 32).decode() or "unknown"
            raise CannotStart(
                f"'refinery up' is running already on {data} (process {holder}); "
                "stop it, or choose another folder with --data."
            ) from held
        unclean = bool(os.read(file, 32))
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        try:
            yield _UNCLEAN_PATIENCE if unclean else 0.0
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)


async def _see_ports_free(services: Sequence[Service], patience: float) -> None:
    deadline = time.monotonic() + patience
    for service in services:
        while (problem := _problem_with(service)) is not None:
            if time.monotonic() >= deadline:
                raise CannotStart(problem)
            await asyncio.sleep(0.1)


def _problem_with(service: Service) -> str | None:
    try:
        family, kind, *_, address = socket.getaddrinfo(service.host, service.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            option = f"--{service.name}-port"
            return f"Port {service.port} is taken; choose another for the {service.name} with {option}."
        return f"The {service.name} cannot listen on {service.address}: {fault.strerror}."
    return None


@contextlib.contextmanager
def _signals(parts: Sequence[Part]) -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            for part in reversed(parts):
                part.kill()
        else:
            _report("Stopping; once more to stop at once.")
            stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, asked)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _refine_local_role(address: str) -> None:
    """Make the Role that the command line acts as, once."""
    async with grpc.aio.insecure_channel(address) as channel:
        ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        try:
            await ledger.GetVibe(ledger_service_pb2.GetVibeRequest(reference=LOCAL_ROLE), timeout=10.0)
        except grpc.aio.AioRpcError as fault:
            if fault.code() is not grpc.StatusCode.NOT_FOUND:
                raise CannotStart(
                    f"The ledger cannot be asked for {LOCAL_ROLE}: {fault.details()}"
                ) from fault
        else:
            return
        try:
            await ledger.Refine(_local_role(), timeout=10.0, wait_for_ready=True)
        except grpc.aio.AioRpcError as fault:
            raise CannotStart(f"The ledger refuses {LOCAL_ROLE}: {fault.details()}") from fault


def _local_role() -> ledger_service_pb2.RefineRequest:
    return ledger_service_pb2.RefineRequest(
        request_id=str(_REQUEST_ID),
        author_ref=_GENESIS,
        drafts=[
            ledger_service_pb2.Draft(
                type=vibe_pb2.VIBE_TYPE_ROLE,
                id="roles/local",
                expected_revision=0,
                solution=vibe_pb2.Document(json='{"title":"Whoever works on this machine"}'),
            )
        ],
    )


def _print_endpoints(services: Sequence[Service], server: EmbeddedPostgres) -> None:
    for service in services:
        print(f"{service.name:<10}{service.address}")  # noqa: T201 -- standard output is what it is for
    print(f"{'postgres':<10}{server.url(DATABASE, 'refinery_reader')}")  # noqa: T201
    print(f"{'try':<10}grpcurl -plaintext {services[0].address} list", flush=True)  # noqa: T201


def _report(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
