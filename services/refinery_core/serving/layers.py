"""What is done around every call, outermost first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from refinery_core.serving.access_log import access_log
from refinery_core.serving.around import Call, Layer
from refinery_core.serving.principal import set_principal
from refinery_core.serving.refusals import refusals


@asynccontextmanager
async def capacity(call: Call) -> AsyncIterator[None]:
    """Refuse what there is no room for. Questions about the server itself are always answered."""
    if call.infrastructure:
        yield
    else:
        with call.capacity.one(streaming=call.streaming):
            yield


@asynccontextmanager
async def principal(call: Call) -> AsyncIterator[None]:
    """Say who calls. While authentication is off everybody is anonymous."""
    set_principal(call.principal)
    yield


LAYERS: tuple[Layer, ...] = (
    access_log,  # outermost: it records what the caller was answered, whoever decided it
    refusals,  # all below may raise a RefineryError; all above see a gRPC status
    capacity,  # before the principal: shedding load must cost less than finding out who calls
    principal,  # innermost: it is for the servicer, and nobody is known who was not let in
)
