"""Retries: the same request again, with the same request_id, until it is answered or its time is up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Final, TypeVar

import grpc

from refinery_client.identity import Identity
from refinery_client.refusals import refusal_from, unanswered
from refinery_core.errors import Code, RefineryError

Q = TypeVar("Q")
A = TypeVar("A")

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0
# An attempt that is left less time than this would only turn a refusal into a timeout.
SHORTEST_ATTEMPT_SECONDS: Final = 0.01


class Backoff:
    """Pauses that double from one attempt to the next, each shortened at random by up to a half."""

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        """Begin with short pauses again: something was answered."""
        self._attempts = 0

    def next(self) -> float:
        """Return the next pause in seconds."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return float(longest * random.uniform(0.5, 1.0))  # noqa: S311 -- nothing secret about a pause


class Patience:
    """The way to make a call: with a deadline, and again while the server says UNAVAILABLE."""

    def __init__(self, timeout_seconds: float) -> None:
        """Take the deadline of calls that have none of their own."""
        self._timeout_seconds = timeout_seconds
        self.identity = Identity()

    def seconds(self, timeout_seconds: float | None) -> float:
        """Return the seconds that a call may take: its own timeout, or else the default."""
        return self._timeout_seconds if timeout_seconds is None else timeout_seconds

    async def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, timeout_seconds: float | None
    ) -> A:
        """
        Make a call.

        Raises:
            RefineryError: the call was refused, or not answered in time, or answered by another ledger.
        """
        deadline, backoff = time.monotonic() + self.seconds(timeout_seconds), Backoff()
        while True:
            call = method(request, timeout=_left(deadline), metadata=self.identity.metadata)
            try:
                answer = await call
            except grpc.aio.AioRpcError as error:
                self.identity.check(error.trailing_metadata())
                await pause_or_raise(refusal_from(error, request), backoff, deadline)
            else:
                self.identity.check(await call.trailing_metadata())
                return answer

    async def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Q, A], request: Q, timeout_seconds: float | None
    ) -> AsyncIterator[A]:
        """
        Read a streamed answer; the call is retried only until the first part has come.

        `timeout_seconds`, if given, is for the whole stream. Without it the stream has no limit as a whole,
        and each part has to come in time after the one before it.

        Raises:
            RefineryError: the call was refused, or not answered in time.
        """
        seconds, backoff = self.seconds(timeout_seconds), Backoff()
        deadline, begun = time.monotonic() + seconds, False
        while True:
            left = None if timeout_seconds is None else _left(deadline)
            call = method(request, timeout=left, metadata=self.identity.metadata)
            parts = aiter(call)
            try:
                while (part := await _next(parts, request, seconds)) is not None:
                    if not begun:
                        self.identity.check(await call.initial_metadata())
                    begun = True
                    yield part
            except grpc.aio.AioRpcError as error:
                self.identity.check(error.trailing_metadata())
                refusal = refusal_from(error, request)
                if begun:
                    raise refusal from None
                await pause_or_raise(refusal, backoff, deadline)
            else:
                return
            finally:
                call.cancel()


async def _next(parts: AsyncIterator[A], request: object, seconds: float) -> A | None:
    """Return the next part; None at the end."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(parts, None)
    except TimeoutError:
        raise unanswered(request) from None


async def pause_or_raise(refusal: RefineryError, backoff: Backoff, deadline: float) -> None:
    """Pause if the same request may be sent again in time; else raise the refusal."""
    pause = backoff.next()
    if refusal.code is not Code.UNAVAILABLE:
        raise refusal from None
    if time.monotonic() + pause + SHORTEST_ATTEMPT_SECONDS > deadline:
        raise refusal from None
    await asyncio.sleep(pause)


def _left(deadline: float) -> float:
    # gRPC takes a timeout of zero for none at all.
    return max(deadline - time.monotonic(), 0.001)
