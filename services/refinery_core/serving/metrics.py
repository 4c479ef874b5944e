"""What Prometheus asks a service: which calls it answered, with what, and how long they took."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Final

from prometheus_client import Counter, Histogram, start_http_server

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
def exposed(listen: str | None) -> Iterator[None]:
    """
    Serve them over HTTP, at HOST:PORT; nowhere without one.

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
        server, thread = start_http_server(int(port), host.strip("[]"))
    except OSError as fault:
        raise CannotStart(f"Cannot serve metrics on {listen}: {fault.strerror}.") from fault
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@cache
def _handled(method: str, code: str) -> Counter:
    return _HANDLED.labels(*_names(method), code)


@cache
def _took(method: str) -> Histogram:
    return _SECONDS.labels(*_names(method))


def _names(method: str) -> tuple[str, str]:
    service, _, name = method.removeprefix("/").partition("/")
    return service, name
