"""Watching: a stream of refinements that survives lost connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import grpc

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_client.answers import Change, Vibe, vibe_from
from refinery_client.identity import Identity
from refinery_client.refusals import Unreachable, refusal_from
from refinery_client.retry import Backoff, Patience
from refinery_core.errors import Code, RefineryError
from refinery_core.wire import refinement_from

SILENCE_SECONDS: Final = 45.0
"""Three heartbeats: after that the connection counts as dead, even if the transport has not noticed."""

WatchMethod = grpc.aio.UnaryStreamMultiCallable[pb.WatchVibesRequest, pb.WatchVibesResponse]


async def changes(
    method: WatchMethod, request: pb.WatchVibesRequest, patience: Patience, *, give_up_seconds: float
) -> AsyncGenerator[Change, None]:
    """
    Yield each refinement once, in order.

    Reconnect and resume while the server is UNAVAILABLE, and once with another token if one has expired.
    """
    backoff, heard, renewed = Backoff(), time.monotonic(), False
    while True:
        parts: list[Vibe] = []
        token = await patience.token()
        try:
            call = method(request, metadata=patience.metadata(token))
            async with aclosing(_messages(call, request, patience.identity)) as messages:
                async for message in messages:
                    backoff.reset()
                    heard, renewed = time.monotonic(), False
                    parts.extend(map(vibe_from, message.vibes))
                    if message.HasField("refinement") and message.position < message.refinement.position:
                        continue  # a part of a large refinement; on a lost connection all parts come again
                    request.after_position = max(request.after_position, message.position)
                    if message.HasField("refinement"):
                        yield Change(message.position, refinement_from(message.refinement), tuple(parts))
                        parts = []
                        heard = time.monotonic()
        except RefineryError as refusal:
            if not renewed and await patience.may_renew(refusal, token):
                renewed = True
                continue
            pause = backoff.next()
            if refusal.code is not Code.UNAVAILABLE or time.monotonic() + pause > heard + give_up_seconds:
                raise
            await asyncio.sleep(pause)


async def _messages(
    call: grpc.aio.UnaryStreamCall[pb.WatchVibesRequest, pb.WatchVibesResponse],
    request: pb.WatchVibesRequest,
    identity: Identity,
) -> AsyncGenerator[pb.WatchVibesResponse, None]:
    is_first = True
    try:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await call.read()
            if not isinstance(message, pb.WatchVibesResponse):
                raise Unreachable(service="ledger", problem="the watch ended without a reason")
            if is_first:
                identity.check(await call.initial_metadata())
                is_first = False
            yield message
    except grpc.aio.AioRpcError as error:
        identity.check(error.trailing_metadata())
        raise refusal_from(error, request) from None
    except TimeoutError:
        problem = f"nothing was heard for {SILENCE_SECONDS:.0f} seconds"
        raise Unreachable(service="ledger", problem=problem) from None
    finally:
        call.cancel()
