"""Retries: the same request again, with the same request_id, until it is answered or its time is up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Final, TypeVar

import grpc

from refinery_client.identity import Identity
from refinery_client.reading import reads_as
from refinery_client.refusals import refusal_from, unanswered
from refinery_client.tokens import Tokens, bearing
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
    """The way to make a call: with a deadline and a token, and again while the server says UNAVAILABLE."""

    def __init__(self, timeout_seconds: float, tokens: Tokens | None = None) -> None:
        """Take the deadline of calls that have none of their own, and the tokens that they carry."""
        self._timeout_seconds = timeout_seconds
        self.identity = Identity()
        self.tokens = tokens or Tokens()

    def seconds(self, timeout_seconds: float | None) -> float:
        """Return the seconds that a call may take: its own timeout, or else the default."""
        return self._timeout_seconds if timeout_seconds is None else timeout_seconds

    def metadata(self, token: str | None) -> tuple[tuple[str, str], ...]:
        """Give the metadata of a call that carries a token."""
        return self.identity.metadata + bearing(token) + reads_as()

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
            try:
                return await self.once(method, request, deadline)
            except RefineryError as refusal:
                await pause_or_raise(refusal, backoff, deadline)

    async def once(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, deadline: float | None
    ) -> A:
        """
        Make a call, and do not repeat it; but where its token is refused, and there is another, with that.

        Raises:
            RefineryError: as call() does.
        """
        token = await self.token(request, deadline)
        try:
            return await self._attempt(method, request, deadline, token)
        except RefineryError as refusal:
            if not await self.may_renew(refusal, token):
                raise
        return await self._attempt(method, request, deadline, await self.token(request, deadline))

    async def token(self, request: object = None, deadline: float | None = None) -> str | None:
        """
        Give the token for a call.

        Raises:
            RefineryError: there is none, or none came in time.
        """
        if not self.tokens.are_sent:
            return None
        try:
            async with asyncio.timeout(None if deadline is None else _left(deadline)):
                return await self.tokens.get()
        except TimeoutError:
            raise unanswered(request) from None

    async def may_renew(self, refusal: RefineryError, token: str | None) -> bool:
        """Whether it was the token that was refused, and there is another one."""
        return refusal.code is Code.UNAUTHENTICATED and await self.tokens.renewed(token)

    async def _attempt(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Q, A],
        request: Q,
        deadline: float | None,
        token: str | None,
    ) -> A:
        left = None if deadline is None else _left(deadline)
        call = method(request, timeout=left, metadata=self.metadata(token))
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self.identity.check(error.trailing_metadata())
            raise refusal_from(error, request) from None
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
        deadline, begun, renewed = time.monotonic() + seconds, False, False
        while True:
            token = await self.token(request, deadline)
            left = None if timeout_seconds is None else _left(deadline)
            call = method(request, timeout=left, metadata=self.metadata(token))
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
                if not renewed and await self.may_renew(refusal, token):
                    renewed = True
                else:
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
