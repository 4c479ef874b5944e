"""`refinery up`: everything on this machine, from one folder, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from refinery_core.postgres.migrate import create_database, migrate, told
from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.serving.exposure import refuse_exposure
from refinery_core.settings import CannotStart
from refinery_local.folder import held
from refinery_local.local_role import make_local_roles
from refinery_local.postgres import EmbeddedPostgres
from refinery_local.secured import Secured, in_the_clear
from refinery_local.supervise import Child, Part, serving, supervise
from refinery_local.temporal import HOST as TEMPORAL_HOST
from refinery_local.temporal import Temporal

DATABASE = "refinery"


@dataclass
class Database:
    """The embedded PostgreSQL as a part; it is migrated whenever it starts, and has the local Role."""

    server: EmbeddedPostgres
    environment: Mapping[str, str]
    secured: Secured | None = None
    name: str = field(default="PostgreSQL", init=False)

    async def start(self) -> None:
        """Start, and bring the database up to this version."""
        self.server.start()
        owner = self.server.url(DATABASE)
        try:
            await create_database(owner)
            await migrate(owner)
            await make_local_roles(owner, self.environment, self.secured)
        except STORE_FAILURES as fault:
            raise CannotStart(told(fault)) from fault

    def ended(self) -> str | None:
        """Whether the server has gone."""
        return None if self.server.pid is not None else "see postgres/server.log"

    async def stop(self) -> None:
        """Stop the server."""
        self.server.stop()

    def kill(self) -> None:
        """Kill the server; the next start recovers it."""
        self.server.kill()


_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- where it is reached


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A service that listens: its name and its address."""

    name: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return _address(self.host, self.port)

    @property
    def reached(self) -> str:
        """HOST:PORT as others on this machine reach it, also where it listens everywhere."""
        return _address(_EVERYWHERE.get(self.host, self.host), self.port)


@dataclass(frozen=True, slots=True)
class Service(Listener):
    """One of Refinery's services, and its module."""

    module: str

    def child(self, environment: Mapping[str, str], secured: Secured | None) -> Child:
        """Make it a part."""
        return Child(
            name=self.name,
            command=[sys.executable, "-m", self.module],
            environment=dict(environment) | {"REFINERY_LISTEN": self.address},
            ready=serving(self.reached, secured.credentials() if secured else None),
        )


async def up(
    data: Path,
    *,
    host: str = "127.0.0.1",
    ledger_port: int = 50051,
    resolver_port: int = 50052,
    process_port: int = 50053,
    temporal_port: int = 7233,
    temporal_ui_port: int = 8233,
    processes: bool = True,
    secure: bool = False,
) -> int:
    """
    Run PostgreSQL, Temporal and the services on the data in a folder until SIGINT or SIGTERM.

    Without `processes` neither Temporal nor the process worker is started. With `secure` all services speak
    TLS and require a certificate of their callers; the folder has the certificates.

    Prints the endpoints on standard output once everything answers, and then closes it, as a signal for its
    reader; everything else is on standard error.
    A second signal ends the wait for services that still drain.

    Returns:
        The exit code: 0 after an orderly end, 1 if a part could not start (with one sentence why).
    """
    ledger = Service("ledger", host, ledger_port, "ledger_service")
    resolver = Service("resolver", host, resolver_port, "resolver_service")
    process = Service("process", host, process_port, "process_worker")
    services = (ledger, resolver, process) if processes else (ledger, resolver)
    try:
        _refuse_exposure(ledger, secure=secure)
        temporal = Temporal.found(temporal_port, temporal_ui_port) if processes else None
        with held(data) as patience:
            await _see_ports_free((*services, *_listeners(temporal)), patience)
            secured = Secured.prepared(data, host) if secure else None
            server = EmbeddedPostgres(data / "postgres")
            environment = _environment(server) | _addresses(ledger, resolver, temporal)
            environment |= secured.of_services() if secured else in_the_clear()
            database = Database(server, environment, secured)
            parts: list[Part] = [database, *([temporal.child(data)] if temporal else [])]
            own = {process: secured.of_worker()} if secured else {}
            parts += [service.child(environment | own.get(service, {}), secured) for service in services]

            async def started() -> None:
                _print_endpoints(services, temporal, server, secured)

            with _signals(parts) as stop:
                await supervise(parts, stop=stop, started=started, report=_report)
    except CannotStart as refusal:
        _report(str(refusal))
        return 1
    return 0


def _listeners(temporal: Temporal | None) -> Sequence[Listener]:
    if temporal is None:
        return ()
    return (
        Listener("temporal", TEMPORAL_HOST, temporal.port),
        Listener("temporal-ui", TEMPORAL_HOST, temporal.ui_port),
    )


def _addresses(ledger: Service, resolver: Service, temporal: Temporal | None) -> dict[str, str]:
    """The addresses for the worker; Temporal here has neither TLS nor keys, so their settings are cleared."""
    if temporal is None:
        return {}
    elsewhere = ("TLS", "TLS_CA", "TLS_CERT", "TLS_KEY", "TLS_SERVER_NAME", "API_KEY")
    return {
        "REFINERY_LEDGER": ledger.reached,
        "REFINERY_RESOLVER": resolver.reached,
        "REFINERY_TEMPORAL_ADDRESS": temporal.address,
        "REFINERY_TEMPORAL_NAMESPACE": "default",
    } | {f"REFINERY_TEMPORAL_{name}": "" for name in elsewhere}


def _environment(server: EmbeddedPostgres) -> dict[str, str]:
    return {
        "REFINERY_DATABASE_URL": server.url(DATABASE, "refinery_app"),
        "REFINERY_LOG_FORMAT": os.environ.get("REFINERY_LOG_FORMAT", "console"),
        # One address cannot be that of three services.
        "REFINERY_METRICS_LISTEN": "",
        "REFINERY_HEALTH_LISTEN": "",
        # Those of the person who starts it; the worker has a certificate of its own.
        "REFINERY_TOKEN": "",
        "REFINERY_TOKEN_FILE": "",
        "REFINERY_TOKEN_COMMAND": "",
    }


def _refuse_exposure(service: Service, *, secure: bool) -> None:
    """See that others reach services only with TLS and REFINERY_AUTH, or where it is written otherwise."""
    try:
        refuse_exposure(
            service.address,
            tls=secure,
            tls_off_written=os.environ.get("REFINERY_TLS", "").lower() == "off",
            auth_written=secure or bool(os.environ.get("REFINERY_AUTH")),
        )
    except CannotStart as refusal:
        raise CannotStart(f"{refusal} Or say --secure, which makes all of it.") from refusal


async def _see_ports_free(listeners: Sequence[Listener], patience: float) -> None:
    deadline = time.monotonic() + patience
    for listener in listeners:
        while (problem := _problem_with(listener)) is not None:
            if time.monotonic() >= deadline:
                raise CannotStart(problem)
            await asyncio.sleep(0.1)


def _problem_with(listener: Listener) -> str | None:
    name, host, port = listener.name, listener.host, listener.port
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            return f"Port {port} is taken; choose another for the {name} with --{name}-port."
        return f"The {name} cannot listen on {listener.address}: {fault.strerror}."
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


def _print_endpoints(
    services: Sequence[Service],
    temporal: Temporal | None,
    server: EmbeddedPostgres,
    secured: Secured | None,
) -> None:
    endpoints = {service.name: service.address for service in services}
    endpoints["postgres"] = server.url(DATABASE, "refinery_reader")
    if temporal is not None:
        endpoints |= {"temporal": temporal.address, "page": temporal.page}
    how = "-plaintext"
    if secured is not None:
        addresses = {f"REFINERY_{service.name.upper()}": service.reached for service in services}
        endpoints["env"] = f". {shlex.quote(str(secured.write_environment(addresses)))}"
        how = secured.options_of_grpcurl()
    endpoints["try"] = f"grpcurl {how} {services[0].reached} list"
    for name, endpoint in endpoints.items():
        print(f"{name:<10}{endpoint}", flush=True)  # noqa: T201 -- standard output is what it is for
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _report(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
