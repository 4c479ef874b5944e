"""The layers around every call, outermost first.

A layer is one asynchronous context manager. They are classes, because a generator for each layer of each
call costs the event loop more than what the layers do.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from types import TracebackType
from typing import Final

from refinery_core.errors import AnotherLedger, Unauthenticated
from refinery_core.serving.access_log import AccessLog
from refinery_core.serving.around import Call, Layer
from refinery_core.serving.authentication.tokens import EXPIRED
from refinery_core.serving.principal import Caller, set_caller
from refinery_core.serving.refusals import Refusals
from refinery_core.wire import LEDGER_ID_KEY, READS_AS_KEY


class Room:
    """Refuses what there is no room for. Questions about the server itself are always answered."""

    __slots__ = ("_call", "_peer")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._peer = call.context.peer()

    async def __aenter__(self) -> None:
        """Take the room of one call, or raise Overloaded."""
        if not self._call.infrastructure:
            self._call.capacity.take(streaming=self._call.streaming, peer=self._peer)

    async def __aexit__(self, *error: object) -> None:
        """Give it back."""
        if not self._call.infrastructure:
            self._call.capacity.give_back(streaming=self._call.streaming, peer=self._peer)


class Meant:
    """Refuses what is meant for another ledger, before anything is done. Few calls say which they mean."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    async def __aenter__(self) -> None:
        """Compare, where the call says it; or raise AnotherLedger."""
        own = self._call.metadata
        if not own:
            return
        for key, value in self._call.context.invocation_metadata() or ():
            if key == LEDGER_ID_KEY and (key, value) not in own:
                raise AnotherLedger(meant=value, ledger=dict(own).get(key, ""))

    async def __aexit__(self, *error: object) -> None:
        """Nothing is left to undo."""


class Known:
    """Finds out who calls. Health answers everybody; a stream ends when the token of its caller expires."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    async def __aenter__(self) -> None:
        """Say who it is, for this call alone; or raise Unauthenticated."""
        call = self._call
        if call.method.startswith(_HEALTH):
            return
        known = call.authentication.authenticate(call.context)
        call.caller = _reading(known.caller, call)
        set_caller(call.caller)
        if call.streaming and known.until is not None:
            call.limit = _until(known.until)
            await call.limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say why the stream ended, if that was it."""
        if (limit := self._call.limit) is None:
            return
        try:
            await limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise Unauthenticated(problem=EXPIRED) from None


_HEALTH: Final = "/grpc.health.v1.Health/"
_LONGEST_SECONDS: Final = 86_400.0
"""No stream becomes so old, and timers do not reach much further."""


def _reading(caller: Caller, call: Call) -> Caller:
    """The caller, with the Role in whose name it wants to read."""
    for key, value in call.context.invocation_metadata() or () if caller.authenticated else ():
        if key == READS_AS_KEY:
            return replace(caller, reads_as=str(value))
    return caller


def _until(moment: float) -> asyncio.Timeout:
    left = moment - time.time()
    return asyncio.timeout(max(0.0, left) if left < _LONGEST_SECONDS else None)


LAYERS: tuple[Layer, ...] = (
    AccessLog,  # outermost: it records what the caller was answered, whoever decided it
    Refusals,  # all below may raise a RefineryError; all above see a gRPC status
    Room,  # before the principal: shedding load must cost less than finding out who calls
    Known,  # nothing is done for somebody who is not known
    Meant,  # nor for a caller who means another ledger
)

ABOUT_THE_SERVER: tuple[Layer, ...] = (AccessLog, Refusals)
"""Around questions that everybody may ask, on a port that answers nothing else."""
