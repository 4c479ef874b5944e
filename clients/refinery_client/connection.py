"""One object that calls all services."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
import orjson

from refinery_client.channels import Tls
from refinery_client.ledger import Ledger
from refinery_client.process import Processes
from refinery_client.resolver import Resolver
from refinery_client.retry import Patience
from refinery_client.schedules import Schedules
from refinery_client.tokens import Ask, refuse_in_the_clear, tokens_of

DEFAULT_LEDGER: Final = "localhost:50051"
DEFAULT_RESOLVER: Final = "localhost:50052"
DEFAULT_PROCESS: Final = "localhost:50053"
DEFAULT_SECONDS: Final = 20.0
"""Enough for a service that was killed and is back within ten seconds."""

# What proto/service_config.json is to clients in other languages, without its retries and its
# health checks. Retries are our own: they send the same request_id, end with the deadline and
# cover refusals inside streams; gRPC's on top would multiply the attempts. A server that is not
# healthy says itself why it refuses, which is more than a channel that does not ask it can tell.
_SERVICE_CONFIG: Final = orjson.dumps({"loadBalancingConfig": [{"round_robin": {}}]}).decode()

_OPTIONS: Final[tuple[tuple[str, int | str], ...]] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 0),
    # gRPC waits up to two minutes before it connects again; a server is back in a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


class Refinery(Ledger, Resolver, Processes, Schedules):
    """
    Refinery, as one process sees it. Make it with `connect`.

        async with Refinery.connect() as refinery:
            refined = await refinery.refine(author_ref="main@roles/local?1", drafts=[…])
    """

    def __init__(
        self,
        ledger: grpc.aio.Channel,
        resolver: grpc.aio.Channel,
        process: grpc.aio.Channel,
        patience: Patience,
    ) -> None:
        """Call over three channels; the caller closes them."""
        Ledger.__init__(self, ledger, patience)
        Resolver.__init__(self, resolver, patience)
        Processes.__init__(self, process, patience)
        Schedules.__init__(self, process, patience)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        *,
        ledger: str | None = None,
        resolver: str | None = None,
        process: str | None = None,
        tls: Tls | None = None,
        timeout_seconds: float = DEFAULT_SECONDS,
        token: str | Ask | None = None,
        token_file: str | Path | None = None,
        token_command: str | None = None,
    ) -> AsyncIterator[Refinery]:
        """
        Open the channels and close them at the end. Nothing is sent before the first call.

        The default addresses are those of REFINERY_LEDGER, REFINERY_RESOLVER and REFINERY_PROCESS, and the
        default `tls` that of the variables REFINERY_TLS_….
        `timeout_seconds` is the deadline of calls that have none of their own.

        Calls carry the token that is given: a text; an async function, which is asked again before a token
        expires; a file, which is read again when it changes; or the output of a command. Where none of them
        is given, REFINERY_TOKEN, REFINERY_TOKEN_FILE or REFINERY_TOKEN_COMMAND says it.

        Raises:
            CannotStart: a file of TLS cannot be used; more than one token is given; or one would travel to
                another machine in the clear, and nobody wrote REFINERY_TLS=off.
        """
        tokens = tokens_of(token, token_file, token_command)
        ledger = ledger or os.environ.get("REFINERY_LEDGER") or DEFAULT_LEDGER
        resolver = resolver or os.environ.get("REFINERY_RESOLVER") or DEFAULT_RESOLVER
        process = process or os.environ.get("REFINERY_PROCESS") or DEFAULT_PROCESS
        tls = tls or Tls.of_environment()
        if not tls.spoken and tls.tls != "off":
            refuse_in_the_clear(tokens, (ledger, resolver, process))
        channel_to = tls.channels(_OPTIONS)
        async with (
            channel_to(ledger) as to_ledger,
            channel_to(resolver) as to_resolver,
            channel_to(process) as to_process,
        ):
            yield cls(to_ledger, to_resolver, to_process, Patience(timeout_seconds, tokens))
