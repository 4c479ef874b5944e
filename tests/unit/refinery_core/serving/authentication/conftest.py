"""Servers that ask who calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from refinery_client.refusals import refusal_from
from refinery_core.errors import RefineryError
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.authentication.settings import AuthenticationSettings
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.principal import Caller, current_caller
from tests.support.issuing import AUDIENCE, Issuing

METHOD = "/refinery.ledger.v1.LedgerService/One"


@dataclass
class Asking:
    """A server that asks who calls, an issuer that it trusts, and who was let in last."""

    server: Any
    issuing: Issuing
    jwks: Path
    seen: list[Caller]

    async def call(self, *authorization: str) -> Caller:
        """Call with these values of the metadata; give who the servicer was told it is."""
        metadata = tuple(("authorization", value) for value in authorization)
        await self.server.channel.unary_unary(METHOD)(b"", timeout=20, metadata=metadata)
        return self.seen[-1]

    async def refusal(self, *authorization: str) -> RefineryError:
        """Call, and give why it was refused."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(*authorization)
        return refusal_from(caught.value)


Ask = Any


@pytest.fixture
def ask(run: Any, tmp_path: Path) -> Ask:
    """Serve with authentication by tokens, as the settings say."""

    def start(
        issuing: Issuing | None = None, *, capacity: Capacity | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Asking]:
        return asking(partial(run, capacity=capacity), tmp_path, issuing or Issuing(), settings)

    return start


@asynccontextmanager
async def asking(run: Any, folder: Path, issuing: Issuing, settings: dict[str, Any]) -> AsyncIterator[Asking]:
    jwks = folder / "jwks.json"
    if not jwks.exists():
        jwks.write_bytes(issuing.jwks)
    asked = {
        "auth": "jwt",
        "jwt_issuer": issuing.name,
        "jwt_audience": AUDIENCE,
        "jwt_jwks": str(jwks),
        "jwt_groups_claim": "groups",
    } | settings
    async with (
        authenticating(AuthenticationSettings(**asked)) as authentication,
        run(authentication=authentication) as server,
    ):
        seen: list[Caller] = []
        answer = server.shapes._answer

        def noted(request: Any) -> Any:
            seen.append(current_caller())
            return answer(request)

        server.shapes._answer = noted
        yield Asking(server, issuing, jwks, seen)
