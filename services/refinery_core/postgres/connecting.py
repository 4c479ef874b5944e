"""Making connections to the store: with their settings, and to the ledger that was seen before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import asyncpg

from refinery_core.errors import DatabaseUnavailable
from refinery_core.postgres.fence import Fence
from refinery_core.settings import Secret

Pooler = Literal["none", "session", "transaction"]
"""The pooler in front of the database: none, or one that gives a server to a session or a transaction."""

_SETTINGS: Final = {"search_path": "pg_catalog", "jit": "off"}


class Connecting:
    """
    Makes connections.

    A pooler refuses settings in the first message of a session. Where it gives a server to a session, a
    statement of their own makes them; where it gives one to a transaction, each transaction begins with them.
    """

    def __init__(
        self,
        url: str,
        fence: Fence,
        *,
        password: Secret | None = None,
        application_name: str,
        pooler: Pooler,
        statement_timeout: float,
    ) -> None:
        """Take what open_pool() takes."""
        self._urls = each_host_first(url)
        self._password = password
        self._fence = fence
        self._name = {"application_name": application_name}
        self._settings = _SETTINGS | {"statement_timeout": str(round(statement_timeout * 1_000))}
        self._pooler = pooler
        self.promoted: Callable[[], None] = lambda: None
        """Is called where a connection finds that a standby was promoted since those before it."""

    @property
    def begin(self) -> str | None:
        """The statement that begins a transaction, where each one needs settings of its own."""
        if self._pooler != "transaction":
            return None
        # Whoever stops in the middle of a transaction has the lock of all writes.
        idle = {"idle_in_transaction_session_timeout": self._settings["statement_timeout"]}
        return "begin;" + _set("set local", self._settings | idle)

    async def __call__(self, *_: Any, **options: Any) -> asyncpg.Connection:
        """
        Make a connection for a pool; where some servers are named, to one that is not refused.

        Raises:
            DatabaseUnavailable: None of them has the ledger that was seen before.
        """
        *others, last = self._urls
        for url in others:
            try:
                return await self._connect(url, options)
            except DatabaseUnavailable:
                continue
        return await self._connect(last, options)

    async def _connect(self, url: str, options: dict[str, Any]) -> asyncpg.Connection:
        direct = self._pooler == "none"
        if self._pooler == "transaction":
            # A server has the prepared statements of whoever had it before.
            options = options | {"statement_cache_size": 0}
        if self._password is not None:
            options = options | {"password": self._password.read()}
        connection = await asyncpg.connect(
            url, server_settings=self._name | self._settings if direct else self._name, **options
        )
        try:
            if self._pooler == "session":
                await connection.execute(_set("set", self._settings))
            if await self._fence.check(connection):
                self.promoted()
        except BaseException:
            connection.terminate()
            raise
        return connection


def _set(verb: str, settings: dict[str, str]) -> str:
    return ";".join(f"{verb} {name} = {value}" for name, value in settings.items())


def each_host_first(url: str) -> list[str]:
    """The address of some servers, each time with another one first: the driver takes the first that fits."""
    netloc = urlsplit(url).netloc
    login, at, named = netloc.rpartition("@")
    hosts = named.split(",")
    turned = [",".join(hosts[turn:] + hosts[:turn]) for turn in range(len(hosts))]
    return [url.replace(f"//{netloc}", f"//{login}{at}{some}", 1) for some in turned]
