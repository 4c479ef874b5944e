"""Many refines over one stream: bounded in flight, and sent again until each is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import grpc

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from refinery_client.answers import Refined, refined_from
from refinery_client.drafts import Refine
from refinery_client.refusals import Refused, Unreachable, WriteUnanswered, refusal_from, refusal_in_stream
from refinery_client.retry import Backoff, Patience
from refinery_core.errors import Code, MessageTooLarge, RefineryError
from refinery_core.wire import MAX_MESSAGE_BYTES

_Stream = grpc.aio.StreamStreamCall[pb.RefineStreamRequest, pb.RefineStreamResponse]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one refine: a result or a refusal."""

    refine: Refine
    result: Refined | None = None
    refusal: RefineryError | None = None

    def unwrap(self) -> Refined:
        """Return the result, or raise the refusal."""
        if self.result is None:
            raise self.refusal or AssertionError("an outcome without result and refusal")
        return self.result


@dataclass(slots=True)
class _Sent:
    """One refine that is not answered yet."""

    refine: Refine
    message: pb.RefineStreamRequest
    deadline: float
    backoff: Backoff


class Flow:
    """One run of refine_many: a feeder, a sender, and between them the unanswered refines."""

    def __init__(
        self, stub: LedgerServiceStub, patience: Patience, *, in_flight: int, timeout_seconds: float | None
    ) -> None:
        """Prepare a run; `outcomes` may be called once."""
        self._stub = stub
        self._seconds = patience.seconds(timeout_seconds)
        self._patience = patience
        self._identity = patience.identity
        self._token: str | None = None
        self._renewed = False
        self._room = asyncio.Semaphore(in_flight)
        self._unanswered: dict[str, _Sent] = {}
        self._exhausted = False
        self._heard = 0.0
        self._refusal: RefineryError = WriteUnanswered(service="ledger")
        """The reason for the silence: the error that ended the stream before this one, if there was one."""
        self._wanted = asyncio.Event()
        self._outbox: asyncio.Queue[_Sent | None] = asyncio.Queue()
        self._outcomes: asyncio.Queue[Outcome | Exception | None] = asyncio.Queue()

    async def outcomes(
        self, refines: Iterable[Refine] | AsyncIterable[Refine]
    ) -> AsyncGenerator[Outcome, None]:
        """Yield the outcome of each refine, until all are answered."""
        tasks = [asyncio.create_task(self._guarded(part)) for part in (self._feed(refines), self._talk())]
        try:
            while (outcome := await self._outcomes.get()) is not None:
                if isinstance(outcome, Exception):
                    raise outcome
                self._room.release()
                yield outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except Exception as fault:  # noqa: BLE001 -- whatever it is, the caller is told
            self._outcomes.put_nowait(fault)

    # --- the feeder ---

    async def _feed(self, refines: Iterable[Refine] | AsyncIterable[Refine]) -> None:
        async for refine in _each(refines):
            await self._room.acquire()
            key = str(refine.request_id)
            if key in self._unanswered:
                raise ValueError(f"two refines share the request_id {key}")
            try:
                message = _message(refine)
            except RefineryError as refusal:
                self._outcomes.put_nowait(Outcome(refine, refusal=refusal))
                continue
            if not self._unanswered:
                self._heard = time.monotonic()
            sent = _Sent(refine, message, time.monotonic() + self._seconds, Backoff())
            self._unanswered[key] = sent
            self._outbox.put_nowait(sent)
            self._wanted.set()
        self._exhausted = True
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._exhausted and not self._unanswered:
            self._wanted.set()
            self._outbox.put_nowait(None)

    # --- the talker ---

    async def _talk(self) -> None:
        backoff = Backoff()
        while True:
            # An idle stream that is lost is only made again for something to send.
            await self._wanted.wait()
            if self._exhausted and not self._unanswered:
                break
            refusal = await self._converse(backoff)
            if refusal is None:
                break
            if not self._renewed and await self._patience.may_renew(refusal, self._token):
                self._renewed = True
                continue
            self._refusal, pause = refusal, backoff.next()
            if refusal.code is not Code.UNAVAILABLE or self._overdue(pause):
                raise refusal
            await asyncio.sleep(pause)
            if not self._unanswered and not self._exhausted:
                self._wanted.clear()
        self._outcomes.put_nowait(None)

    def _overdue(self, seconds: float = 0) -> bool:
        return bool(self._unanswered) and time.monotonic() + seconds > self._heard + self._seconds

    async def _converse(self, backoff: Backoff) -> RefineryError | None:
        """Run one stream; return None if everything is answered, else the error that ended it."""
        self._outbox = asyncio.Queue()
        for sent in self._unanswered.values():
            self._outbox.put_nowait(sent)
        self._token = await self._patience.token()
        metadata = self._patience.metadata(self._token)
        call = self._stub.RefineStream(_drawn(self._outbox), metadata=metadata)
        watchdog = asyncio.create_task(self._cancel_when_silent(call))
        try:
            async for answer in call:
                self._identity.check(await call.initial_metadata())
                self._heard, self._refusal = time.monotonic(), WriteUnanswered(service="ledger")
                self._renewed = False
                backoff.reset()
                self._take(answer)
        except grpc.aio.AioRpcError as error:
            self._identity.check(error.trailing_metadata())
            return _why_ended(refusal_from(error, pb.RefineRequest()))
        except asyncio.CancelledError:
            if watchdog.done() and not watchdog.cancelled():
                raise self._refusal from None
            raise
        finally:
            watchdog.cancel()
            call.cancel()
        done = self._exhausted and not self._unanswered
        return None if done else Unreachable(service="ledger", problem="the stream ended early")

    async def _cancel_when_silent(self, call: _Stream) -> None:
        # The call is cancelled from beside: a read that times out would lose its stream.
        while not self._overdue():  # noqa: ASYNC110 -- time passes without an event
            await asyncio.sleep(self._seconds / 8)
        call.cancel()

    def _take(self, answer: pb.RefineStreamResponse) -> None:
        sent = self._unanswered.get(answer.request_id)
        if sent is None:
            return  # sent twice over a lost connection, and answered twice
        if answer.HasField("response"):
            result = refined_from(answer.response, sent.refine.request_id)
            self._settle(answer.request_id, Outcome(sent.refine, result))
            return
        refusal, pause = refusal_in_stream(answer.refusal), sent.backoff.next()
        if refusal.code is Code.UNAVAILABLE and time.monotonic() + pause < sent.deadline:
            asyncio.get_running_loop().call_later(pause, self._again, answer.request_id)
        else:
            self._settle(answer.request_id, Outcome(sent.refine, refusal=refusal))

    def _again(self, key: str) -> None:
        if key in self._unanswered:
            self._outbox.put_nowait(self._unanswered[key])

    def _settle(self, key: str, outcome: Outcome) -> None:
        del self._unanswered[key]
        self._outcomes.put_nowait(outcome)
        self._finish_if_done()


def _message(refine: Refine) -> pb.RefineStreamRequest:
    """Write a request; one that is far too large would end the stream for all others, so it is not sent."""
    message = pb.RefineStreamRequest(refine=refine.message())
    if message.ByteSize() > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(limit=MAX_MESSAGE_BYTES)
    return message


def _why_ended(refusal: RefineryError) -> RefineryError:
    # A write that meets the end of its stream hides the server's status behind an INTERNAL of gRPC's own.
    if isinstance(refusal, Refused) and refusal.code is Code.INTERNAL:
        return Unreachable(service="ledger", problem="the stream broke")
    return refusal


async def _each(refines: Iterable[Refine] | AsyncIterable[Refine]) -> AsyncIterator[Refine]:
    if isinstance(refines, AsyncIterable):
        async for refine in refines:
            yield refine
    else:
        for refine in refines:
            yield refine


async def _drawn(outbox: asyncio.Queue[_Sent | None]) -> AsyncIterator[pb.RefineStreamRequest]:
    while (sent := await outbox.get()) is not None:
        yield sent.message
