"""Channels, with TLS or without; one with TLS is renewed when its files change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import grpc

from refinery_core.certificates import Credentials, Files, Followed, Unusable
from refinery_core.settings import CannotStart, from_environment, setting

LOOK_SECONDS: Final = 1.0
"""Files are looked at no more often than this, and only when something is called."""

_Options = Sequence[tuple[str, int | str]]

_log = logging.getLogger("refinery_client")


@dataclass(frozen=True)
class Tls:
    """
    The TLS of a client: REFINERY_TLS, REFINERY_TLS_CA and so on, or the same given by name.

    TLS is spoken where `tls` is `on`, or where `tls_ca` or `tls_cert` is given and `tls` is not `off`.
    """

    tls: Literal["on", "off"] | None = setting("whether to speak TLS, whatever else is given", None)
    tls_ca: str | None = setting("file: whom to trust as servers, in PEM; else the public authorities", None)
    tls_cert: str | None = setting("file: our certificate with its chain, in PEM", None)
    tls_key: str | None = setting("file: the key of our certificate, in PEM", None)
    tls_server_name: str | None = setting("the name in the certificates of the servers, if another", None)

    @classmethod
    def of_environment(cls) -> Tls:
        """Read it from the environment."""
        return from_environment(cls)

    @property
    def spoken(self) -> bool:
        """Whether TLS is spoken."""
        return self.tls == "on" or (self.tls is None and bool(self.tls_ca or self.tls_cert))

    def channels(self, options: _Options) -> Callable[[str], grpc.aio.Channel]:
        """
        Give a function that makes channels to addresses.

        Raises:
            CannotStart: a file cannot be used, or a certificate has no key.
        """
        if not self.spoken:
            return lambda target: grpc.aio.insecure_channel(target, options)
        if bool(self.tls_cert) != bool(self.tls_key):
            raise CannotStart("REFINERY_TLS_CERT and REFINERY_TLS_KEY go together: set both, or none.")
        try:
            followed = Followed(Files(self.tls_cert, self.tls_key, self.tls_ca), _told)
        except Unusable as fault:
            raise CannotStart(f"{fault}.") from fault
        if self.tls_server_name:
            options = (*options, ("grpc.ssl_target_name_override", self.tls_server_name))
        return lambda target: Renewed(followed, _made(target, options))


def _made(target: str, options: _Options) -> _Make:
    def make(with_: Credentials) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(with_.authorities, with_.key, with_.certificate)
        return grpc.aio.secure_channel(target, credentials, options)

    return make


def _told(problem: str | None) -> None:
    if problem is not None:
        _log.warning("new certificates cannot be used, and the last good ones are in force: %s", problem)


_Make = Callable[[Credentials], grpc.aio.Channel]


class _Line:
    """One channel of gRPC, which is closed when it is retired and its last call has ended."""

    def __init__(self, channel: grpc.aio.Channel, made_with: Credentials) -> None:
        self.channel = channel
        self.made_with = made_with
        self.methods: dict[_Method, Callable[..., Any]] = {}
        self._under_way = 0
        self._retired = False
        self._closing: asyncio.Task[None] | None = None

    def carry(self, call: Any) -> None:
        """Count a call until it ends."""
        self._under_way += 1
        call.add_done_callback(self._ended)

    def retire(self) -> None:
        """Carry no more."""
        self._retired = True
        self._close_if_idle()

    def _ended(self, _: object) -> None:
        self._under_way -= 1
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retired and not self._under_way and self._closing is None:
            self._closing = asyncio.ensure_future(self.channel.close())

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to close."""
        return self._closing is not None and self._closing.done()


class Renewed(grpc.aio.Channel):
    """A channel that always speaks with the certificates that stand in its files."""

    def __init__(self, followed: Followed, make: _Make) -> None:
        """Make the first one."""
        self._followed = followed
        self._make = make
        self._line = _Line(make(followed.current), followed.current)
        self._retired: list[_Line] = []
        self._look_again = time.monotonic() + LOOK_SECONDS

    def line(self) -> _Line:
        """Give the channel for the next call: a new one where the files have changed."""
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + LOOK_SECONDS
            current = self._followed.look()
            if current is not self._line.made_with:
                self._line.retire()
                self._retired = [*(line for line in self._retired if not line.is_closed), self._line]
                self._line = _Line(self._make(current), current)
        return self._line

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel, and those that still drain."""
        for line in (self._line, *self._retired):
            await line.channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Give the state of the channel for the next call."""
        return self.line().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until that state is another."""
        await self.line().channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until it is connected."""
        await self.line().channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """Give a method."""
        return _Method(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """Give a method."""
        return _Method(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """Give a method."""
        return _Method(self, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """Give a method."""
        return _Method(self, "stream_stream", args, kwargs)


class _Method:
    """A method, called on the channel of the moment."""

    __slots__ = ("_args", "_channel", "_kwargs", "_shape")

    def __init__(self, channel: Renewed, shape: str, args: Any, kwargs: Any) -> None:
        self._channel, self._shape, self._args, self._kwargs = channel, shape, args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        line = self._channel.line()
        method = line.methods.get(self)
        if method is None:
            method = getattr(line.channel, self._shape)(*self._args, **self._kwargs)
            line.methods[self] = method
        call = method(*args, **kwargs)
        line.carry(call)
        return call
