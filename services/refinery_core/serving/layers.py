"""What is done around every call, outermost first.

A layer is one asynchronous context manager. They are classes, because a generator for each layer of each
call costs the event loop more than what the layers do.
"""

from __future__ import annotations

from refinery_core.errors import AnotherLedger
from refinery_core.serving.access_log import AccessLog
from refinery_core.serving.around import Call, Layer
from refinery_core.serving.principal import set_caller
from refinery_core.serving.refusals import Refusals
from refinery_core.wire import LEDGER_ID_KEY


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
    """Says who calls. While authentication is off everybody is anonymous."""

    __slots__ = ("_caller",)

    def __init__(self, call: Call) -> None:
        self._caller = call.caller

    async def __aenter__(self) -> None:
        """Say so, for this call alone."""
        set_caller(self._caller)

    async def __aexit__(self, *error: object) -> None:
        """Nothing is left to undo: each call is a task of its own."""


LAYERS: tuple[Layer, ...] = (
    AccessLog,  # outermost: it records what the caller was answered, whoever decided it
    Refusals,  # all below may raise a RefineryError; all above see a gRPC status
    Room,  # before the principal: shedding load must cost less than finding out who calls
    Meant,  # nothing is done for whoever means another ledger
    Known,  # innermost: it is for the servicer, and nobody is known who was not let in
)

ABOUT_THE_SERVER: tuple[Layer, ...] = (AccessLog, Refusals)
"""Around questions that everybody may ask, on a port that answers nothing else."""
