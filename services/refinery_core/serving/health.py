"""Health (grpc.health.v1): serving while the service is ready, until it is asked to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery_core.errors import Draining
from refinery_core.serving.drain import Drain

Readiness = Callable[[], Awaitable[bool]]
"""Whether the service can do its work now; an exception means that it cannot."""

_Context = grpc.aio.ServicerContext[Any, Any]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_log = structlog.get_logger("refinery.health")


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpc_health is untyped
    """One answer for the server and for each of its services; watches end with the drain."""

    def __init__(self, names: Sequence[str], drain: Drain) -> None:
        self._names = frozenset(("", *names))
        self._drain = drain
        self._serving = False
        self._stopped = False
        self._told: str | None = None
        self._changed = asyncio.Event()

    async def follow(self, readiness: Readiness, *, every_seconds: float, timeout_seconds: float) -> None:
        """Ask again and again whether the service is ready, and answer accordingly."""
        while True:
            self.set(serving=await self._ready(readiness, timeout_seconds))
            await asyncio.sleep(every_seconds)

    async def _ready(self, readiness: Readiness, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                ready = await readiness()
        except Exception as fault:  # noqa: BLE001 -- whatever it is, the service is not ready
            problem = repr(fault)
            if problem != self._told:  # A problem that turns into another one is told as well.
                _log.warning("not ready", problem=problem)
                self._told = problem
            return False
        self._told = None
        return ready

    def set(self, *, serving: bool) -> None:
        """Change the answer, and tell those who watch."""
        serving = serving and not self._stopped
        if serving != self._serving:
            _log.info("health", serving=serving)
            self._serving = serving
            self._changed.set()
            self._changed = asyncio.Event()

    def stop(self) -> None:
        """Answer NOT_SERVING from now on."""
        self._stopped = True
        self.set(serving=False)

    def _status(self, name: str) -> int:
        if name not in self._names:
            return int(_UNKNOWN)
        return int(_SERVING if self._serving else _NOT_SERVING)

    async def Check(  # noqa: N802 -- as in the contract
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Say how it is now."""
        status = self._status(request.service)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"No service is named '{request.service}' here.")
        return health_pb2.HealthCheckResponse(status=status)

    async def List(  # noqa: N802 -- as in the contract
        self, request: health_pb2.HealthListRequest, context: _Context
    ) -> health_pb2.HealthListResponse:
        """Say how all of them are now."""
        del request, context
        statuses = {
            name: health_pb2.HealthCheckResponse(status=self._status(name)) for name in sorted(self._names)
        }
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(  # noqa: N802 -- as in the contract
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Say how it is now, and whenever that changes, until the drain."""
        del context
        while True:
            changed, status = self._changed, self._status(request.service)
            yield health_pb2.HealthCheckResponse(status=status)
            while self._status(request.service) == status:
                try:
                    await self._drain.or_result(changed.wait())
                except Draining:
                    return
                changed = self._changed
