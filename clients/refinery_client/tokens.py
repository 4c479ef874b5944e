"""The token that calls carry: given once, read from a file, or asked for and kept until it expires."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from refinery_client.refusals import NoToken
from refinery_core.addresses import stays_here
from refinery_core.settings import CannotStart

Ask = Callable[[], Awaitable[str]]
"""Gives a token. It is asked again when the last one is about to expire, or was refused."""

_log = logging.getLogger("refinery_client")

_KEPT_SECONDS: Final = 60.0
"""For which a token is kept that does not say when it expires."""
_SPARE_SECONDS: Final = 30.0
_COMMAND_SECONDS: Final = 30.0
_MAX_BYTES: Final = 64 << 10


class Tokens:
    """The tokens of one client, one after the other. Without a source calls carry none."""

    def __init__(self, ask: Ask | None = None, *, keep: bool = True) -> None:
        """Take the source; with `keep` it is asked no more often than needed."""
        self._ask = ask
        self._keep = keep
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._until = 0.0
        self._expires = 0.0

    @property
    def are_sent(self) -> bool:
        """Whether calls carry tokens."""
        return self._ask is not None

    async def get(self) -> str | None:
        """
        Give the token for a call; None where calls carry none.

        Raises:
            NoToken: the source gives none, and the last one has expired.
        """
        if self._ask is None or time.time() < self._until:
            return self._token
        async with self._lock:  # However many want it, it is asked for once.
            if time.time() >= self._until:
                await self._renew()
            return self._token

    async def renewed(self, refused: str | None) -> bool:
        """Whether there is another token than the one that was refused."""
        if self._ask is None or refused is None:
            return False
        async with self._lock:
            if self._token == refused:
                self._expires = 0.0
                await self._renew()
            return self._token != refused

    async def _renew(self) -> None:
        assert self._ask is not None
        now = time.time()
        try:
            token = _checked(await self._ask())
        except Exception as error:
            if now >= self._expires:
                raise
            # The last one still holds. The error may quote the command, so its kind alone is told.
            _log.warning("no new token (%s); the last one is sent until it expires", type(error).__name__)
            self._until = now + 1.0
            return
        expires = _expiry_of(token)
        self._token = token
        self._expires = now + _KEPT_SECONDS if expires is None else expires
        spare = 0.0 if expires is None else min(_SPARE_SECONDS, (expires - now) / 10)
        self._until = max(self._expires - spare, now + 1.0) if self._keep else 0.0


def bearing(token: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata that carries a token."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def tokens_of(
    token: str | Ask | None = None,
    token_file: str | Path | None = None,
    token_command: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Tokens:
    """
    Make the tokens of what is given, else of REFINERY_TOKEN, REFINERY_TOKEN_FILE or REFINERY_TOKEN_COMMAND.

    Raises:
        CannotStart: more than one of them is given, or one that can be no token or command.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {"a token": token, "a token file": token_file, "a token command": token_command}
    if not any(given.values()):
        names = ("REFINERY_TOKEN", "REFINERY_TOKEN_FILE", "REFINERY_TOKEN_COMMAND")
        given = {name: environ.get(name) for name in names}
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise CannotStart(
            f"Both {' and '.join(named)} are given; calls carry one token, so give one of them."
        )
    once, file, command = given.values()
    if callable(once):
        return Tokens(once)
    if once:
        try:
            fixed = _checked(once)
        except NoToken as problem:
            raise CannotStart(problem.message) from None
        return Tokens(_always(fixed), keep=False)
    if file:
        return Tokens(_File(Path(file)).read, keep=False)
    return Tokens(_command(command)) if command else Tokens()


def refuse_in_the_clear(tokens: Tokens, addresses: Iterable[str]) -> None:
    """
    Refuse to send tokens where others could read them.

    Raises:
        CannotStart: calls carry tokens, and an address without TLS is not on this machine.
    """
    exposed = [address for address in addresses if not stays_here(address)]
    if tokens.are_sent and exposed:
        raise CannotStart(
            f"A token would travel to {exposed[0]} in the clear; connect to it with TLS, or without a token."
        )


def _always(token: str) -> Ask:
    async def ask() -> str:
        return token

    return ask


class _File:
    """A file with a token, which is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._token = ""

    async def read(self) -> str:
        """Read it, if it has changed."""
        try:
            return self._read()
        except OSError as fault:
            self._seen = ()
            raise NoToken(problem=f"{self._path} cannot be read: {fault.strerror}") from fault

    def _read(self) -> str:
        found = self._path.stat()
        seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            if found.st_size > _MAX_BYTES:
                raise NoToken(problem=f"{self._path} is too large to be a token")
            self._token = self._path.read_text(encoding="ascii", errors="replace")
            self._seen = seen
        return self._token


def _command(line: str) -> Ask:
    """Run a command, without a shell; its output is the token, and its standard error is for people."""
    try:
        words = shlex.split(line)
    except ValueError as fault:
        raise CannotStart(f"The token command cannot be read: {fault}.") from None
    if not words:
        raise CannotStart("The token command is empty.")

    async def ask() -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as fault:
            raise NoToken(problem=f"the command '{words[0]}' cannot be run: {fault.strerror}") from None
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                written, _ = await process.communicate()
        except TimeoutError:
            raise NoToken(
                problem=f"the command '{words[0]}' gave none in {_COMMAND_SECONDS:g} seconds"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise NoToken(problem=f"the command '{words[0]}' ended with exit code {process.returncode}")
        return written.decode("ascii", errors="replace")

    return ask


def _checked(text: str) -> str:
    token = text.strip()
    if not token:
        raise NoToken(problem="what was given is empty")
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > _MAX_BYTES:
        raise NoToken(problem="what was given is no token: it has spaces or other characters that none has")
    return token


def _expiry_of(token: str) -> float | None:
    """The expiry that a token claims, in Unix time; only the server knows whether it is true."""
    try:
        part = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None
