"""Takes in refines: small ones at once, large ones a few at a time and beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Final

from ledger_service import wire
from ledger_service.refine import Refiner
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.errors import Draining, MessageTooLarge, PermissionDenied
from refinery_core.serving.audit import DENIALS
from refinery_core.serving.drain import Drain
from refinery_core.serving.large import LARGE_BYTES, Entrance, read
from refinery_core.serving.refusals import as_refusal
from refinery_core.wire import MAX_MESSAGE_BYTES

STREAM: Final = "/refinery.ledger.v1.LedgerService/RefineStream"
LARGE_DRAFTS: Final = 32
"""A refine of so many drafts is large, however few bytes it has."""
STREAM_IN_FLIGHT: Final = 256
STREAM_BYTES: Final = 8 << 20
"""Bytes of one stream whose answers were not sent yet; with more, the stream is not read on."""


class Intake:
    """The way of every refine into this process."""

    def __init__(
        self, refiner: Refiner, drain: Drain, giving_way: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Hold `giving_way` around each refine, so that watches send less meanwhile."""
        self._refiner = refiner
        self._giving_way = giving_way
        self._drain = drain
        self._entrance = Entrance()

    async def refine(self, request: pb.RefineRequest, caller: str) -> pb.RefineResponse:
        """
        Commit one refine.

        Raises:
            RefineryError: it is refused.
        """
        size = request.ByteSize()
        large = size >= LARGE_BYTES or len(request.drafts) >= LARGE_DRAFTS
        with self._giving_way():
            async with self._entrance.let_in(size, caller, large=large):
                command = await read(partial(wire.refine_command, request), large=large)
                return wire.refine_response(await self._refiner.refine(command, caller))

    async def stream(
        self, requests: AsyncIterator[pb.RefineStreamRequest], caller: str
    ) -> AsyncGenerator[pb.RefineStreamResponse]:
        """
        Commit many refines, each with its own outcome; answers come as they are ready.

        Raises:
            Draining: the server stops, or the stream is old; all requests that were read are answered before.
        """
        answers, room = _Answers(), _InFlight()
        with self._drain.of_stream() as drain:
            reading = asyncio.create_task(self._read(requests, caller, answers, room, drain))
            try:
                while (answered := await answers.get()) is not None:
                    answer, size = answered
                    yield answer
                    room.give_back(size)
                await reading
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError, BaseExceptionGroup):
                    await reading

    async def _read(
        self,
        requests: AsyncIterator[pb.RefineStreamRequest],
        caller: str,
        answers: _Answers,
        room: _InFlight,
        drain: Drain,
    ) -> None:
        async def one(request: pb.RefineRequest, size: int) -> None:
            answers.put_nowait((await self._answer(request, size, caller), size))

        cut: Draining | None = None
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    async with drain.cutting():
                        async for message in requests:
                            size = message.ByteSize()
                            await room.take(size)
                            group.create_task(one(message.refine, size))
                except Draining as draining:
                    cut = draining  # The requests that were read before are still answered.
            if cut is not None:
                raise cut
        finally:
            answers.put_nowait(None)

    async def _answer(self, request: pb.RefineRequest, size: int, caller: str) -> pb.RefineStreamResponse:
        try:
            if size > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(limit=MAX_MESSAGE_BYTES)  # noqa: TRY301 -- as all refusals here
            response = await self.refine(request, caller)
        except Exception as error:  # noqa: BLE001 - neither a refusal nor a bug ends the stream
            refusal = as_refusal(error, where="RefineStream")
            if isinstance(refusal, PermissionDenied):
                DENIALS.note(refusal, STREAM)
            message = wire.refusal_message(refusal)
            return pb.RefineStreamResponse(request_id=request.request_id, refusal=message)
        return pb.RefineStreamResponse(request_id=request.request_id, response=response)


_Answers = asyncio.Queue[tuple[pb.RefineStreamResponse, int] | None]
"""Answers to be sent, each with the bytes of its request; None at the end."""


class _InFlight:
    """The requests of one stream whose answers were not sent yet: their number, and their bytes."""

    def __init__(self) -> None:
        self._count = 0
        self._bytes = 0
        self._freed = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until there is room for a request; the first one always fits."""
        while self._count and (self._count == STREAM_IN_FLIGHT or self._bytes + size > STREAM_BYTES):
            self._freed.clear()
            await self._freed.wait()
        self._count += 1
        self._bytes += size

    def give_back(self, size: int) -> None:
        """Free the room of a request whose answer was sent."""
        self._count -= 1
        self._bytes -= size
        self._freed.set()
