"""One adapter that puts async context managers around every gRPC call, whatever its shape."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from refinery_core.errors import (
    AnswerTooLarge,
    MalformedRequest,
    MessageTooLarge,
    RefineryError,
    UnknownMethod,
)
from refinery_core.serving.authentication.authenticating import OPEN, UNKNOWN, Authentication
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.principal import NOBODY_IN_PARTICULAR, Caller
from refinery_core.wire import MAX_MESSAGE_BYTES

MOST_RECEIVED_BYTES = 5 << 20
"""The largest message received: somewhat more than the limit, so that we refuse it and say why."""


@dataclass(slots=True)
class Call:
    """One call, for the layers around it."""

    method: str
    context: grpc.aio.ServicerContext[Any, Any]
    capacity: Capacity
    streaming: bool
    caller: Caller = NOBODY_IN_PARTICULAR
    refusal: RefineryError | None = None
    metadata: Metadata = ()
    """The metadata of every answer of this server, refusals too."""
    authentication: Authentication = OPEN
    limit: asyncio.Timeout | None = None
    """Ends the stream between two messages: gRPC sends no status while a message waits to be read."""

    @property
    def infrastructure(self) -> bool:
        """Whether it is a question about the server itself: health or reflection."""
        return self.method.startswith("/grpc.")


Metadata = tuple[tuple[str, str], ...]

Layer = Callable[[Call], AbstractAsyncContextManager[None]]
"""A layer around a call. It may raise a RefineryError before the call runs, or instead of it."""

_Act = Callable[[Call, Any], Awaitable[Any]]


class Around(grpc.aio.ServerInterceptor):
    """
    The one interceptor: layers around every method, outermost first, put together once a method.

    Requests are parsed and answers serialized inside the layers, because gRPC answers UNKNOWN
    with the text of the exception when one of them fails outside.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        capacity: Capacity,
        metadata: Metadata = (),
        authentication: Authentication = OPEN,
    ) -> None:
        self._layers = tuple(layers)
        self._capacity = capacity
        self._metadata = metadata
        self._authentication = authentication
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Give the method with the layers around it; for an unknown one, what refuses it."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        found = await continuation(handler_call_details)
        if found is None:
            # It is not kept: there is no end of names that nobody knows.
            return self._wrap(method, _UNKNOWN)
        self._wrapped[method] = self._wrap(method, found)
        return self._wrapped[method]

    def _wrap(self, method: str, found: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        run = functools.reduce(_within, reversed(self._layers), _innermost(found))
        capacity, streaming = self._capacity, found.request_streaming or found.response_streaming
        metadata, authentication = self._metadata, self._authentication
        caller = UNKNOWN if authentication.is_on else NOBODY_IN_PARTICULAR

        async def served(raw: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            call = Call(method, context, capacity, streaming, caller, None, metadata, authentication)
            return await run(call, raw)

        shape = _SHAPES[found.request_streaming, found.response_streaming]
        return shape(served, None, None)


_SHAPES: dict[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler[Any, Any]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


async def _unknown(_: Any, __: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
    raise UnknownMethod
    yield b""  # It is a stream both ways, which is what a call of any shape can be read as.


_UNKNOWN: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(_unknown)


def _within(inner: _Act, layer: Layer) -> _Act:
    async def run(call: Call, raw: Any) -> Any:
        async with layer(call):
            return await inner(call, raw)

    return run


def _innermost(found: grpc.RpcMethodHandler[Any, Any]) -> _Act:
    """The method itself: from raw requests to raw answers."""
    behavior: Any = found.unary_unary or found.unary_stream or found.stream_unary or found.stream_stream
    parse = found.request_deserializer or bytes
    serialize = _bounded(found.response_serializer or bytes)
    read = functools.partial(_each, parse) if found.request_streaming else functools.partial(_one, parse)

    async def unary(call: Call, raw: Any) -> bytes:
        answer = serialize(await behavior(read(raw), call.context))
        if call.metadata:
            call.context.set_trailing_metadata(call.metadata)  # It costs no message of its own.
        return answer

    async def stream(call: Call, raw: Any) -> None:
        if call.metadata:
            await call.context.send_initial_metadata(call.metadata)
        # Written here, and not yielded to gRPC, so that a cancelled call unwinds its layers at once.
        async with aclosing(behavior(read(raw), call.context)) as answers:
            async for answer in answers:
                written = call.context.write(serialize(answer))
                await (written if call.limit is None else _unhurried(call.limit, written))

    if not found.response_streaming:
        return unary
    if not inspect.isasyncgenfunction(behavior):
        raise TypeError(f"{behavior.__qualname__} has to be an async generator")
    return stream


async def _unhurried(limit: asyncio.Timeout, written: Awaitable[None]) -> None:
    when = limit.when()
    limit.reschedule(None)
    await written
    limit.reschedule(when)


def _one(parse: Callable[[bytes], Any], raw: bytes) -> Any:
    if len(raw) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(limit=MAX_MESSAGE_BYTES)
    return _parsed(parse, raw)


def _parsed(parse: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return parse(raw)
    except DecodeError as fault:
        raise MalformedRequest from fault


async def _each(parse: Callable[[bytes], Any], raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    # How large one may be is for the servicer to say, who can refuse it alone and go on with the next.
    async for raw in raws:
        yield _parsed(parse, raw)


def _bounded(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def bounded(answer: Any) -> bytes:
        raw = serialize(answer)
        if len(raw) > MAX_MESSAGE_BYTES:
            raise AnswerTooLarge(bytes=len(raw))
        return raw

    return bounded
