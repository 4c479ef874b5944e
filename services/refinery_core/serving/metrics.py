"""The metrics that Prometheus reads: calls by method and code, and how long they took."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Counter, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from refinery_core.serving.tls import Tls
from refinery_core.settings import CannotStart

_HANDLED: Final = Counter(
    "grpc_server_handled_total",
    "Calls that have ended, by how.",
    ["grpc_service", "grpc_method", "grpc_code"],
)
_SECONDS: Final = Histogram(
    "grpc_server_handling_seconds",
    "How long calls took that are answered once.",
    ["grpc_service", "grpc_method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_REFUSED: Final = Counter("refinery_refusals_total", "Refusals, by reason.", ["reason"])


def count(method: str, code: str, reason: str | None, seconds: float, *, streaming: bool) -> None:
    """Count a call: its method as `/package.Service/Method`, its code by name, the reason of a refusal."""
    _handled(method, code).inc()
    if reason is not None:
        _REFUSED.labels(reason).inc()
    if not streaming:
        _took(method).observe(seconds)


@contextlib.contextmanager
def exposed(listen: str | None, tls: Tls | None = None) -> Iterator[None]:
    """
    Serve them over HTTP, or with TLS over HTTPS, at HOST:PORT; nowhere without one.

    Raises:
        CannotStart: nobody can listen there.
    """
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise CannotStart(f"REFINERY_METRICS_LISTEN is '{listen}': write it as HOST:PORT.")
    try:
        server = _server(host.strip("[]"), int(port), tls)
    except OSError as fault:
        raise CannotStart(f"Cannot serve metrics on {listen}: {fault.strerror}.") from fault
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Asked(WSGIRequestHandler):
    timeout = 20
    """Seconds of silence after which a connection ends, in its handshake too."""

    def log_message(self, *_: object) -> None:
        """Say nothing of who asked."""


def _server(host: str, port: int, tls: Tls | None) -> WSGIServer:
    """Make the server, for addresses of both families; each connection is a thread, its handshake too."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]

    class Server(ThreadingWSGIServer):
        address_family = family

        def get_request(self) -> tuple[socket.socket, Any]:
            accepted, peer = super().get_request()
            if tls is None:
                return accepted, peer
            try:
                wrapped = tls.context().wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            except OSError:
                accepted.close()
                raise
            return wrapped, peer

        def handle_error(self, *_: object) -> None:
            """Say nothing of who hung up, or had no certificate."""

    return make_server(str(address[0]), port, make_wsgi_app(), Server, _Asked)


@cache
def _handled(method: str, code: str) -> Counter:
    return _HANDLED.labels(*_names(method), code)


@cache
def _took(method: str) -> Histogram:
    return _SECONDS.labels(*_names(method))


def _names(method: str) -> tuple[str, str]:
    service, _, name = method.removeprefix("/").partition("/")
    return service, name
