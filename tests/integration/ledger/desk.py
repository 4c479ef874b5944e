"""A ledger service without its door: who calls is said with each call."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ledger_service import wire
from ledger_service.branches import create_branch
from ledger_service.commands import Refined
from ledger_service.commit import Committer
from ledger_service.refine import Refiner
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.errors import RefineryError
from refinery_core.postgres.database import Database as Ledger
from refinery_core.postgres.pool import open_pool
from refinery_core.serving.principal import Caller, set_caller
from refinery_core.stored.composition import Composer
from refinery_core.stored.rights import Rights
from refinery_core.stored.vibes import Vibes
from tests.cases.bad_input.rows import document
from tests.conftest import Database

GENESIS = "main@system/genesis?1"
ROOT = Caller("x509:root.example", (), authenticated=True)
ADA = Caller("jwt:https://idp.example#ada", ("group:https://idp.example#desk",), authenticated=True)
BOB = Caller("jwt:https://idp.example#bob", (), authenticated=True)
WORKER = Caller("spiffe://example/ns/refinery/worker", (), authenticated=True)
NOBODY = Caller()

DESK: dict[str, Any] = {
    "members": [ADA.principal],
    "may": [
        {"do": ["refine"], "ids": ["orders/**", "roles/desk"], "branches": ["main", "dev/**"]},
        {"do": ["branch"], "branches": ["dev/**"]},
        {"do": ["read"], "ids": ["**"]},
    ],
}


def draft(
    id_: str, solution: Any = 1, type_: str = "RECORD", *, branches: Sequence[str] = (), **fields: Any
) -> pb.Draft:
    return pb.Draft(
        type=vibe_pb2.VibeType.Value(f"VIBE_TYPE_{type_}"),
        id=id_,
        branches=branches,
        solution=document(solution),
        **fields,
    )


def role(id_: str, solution: Any) -> pb.Draft:
    return draft(f"roles/{id_}", solution, "ROLE")


@dataclass
class Desk:
    """A ledger service without its door."""

    refiner: Refiner
    vibes: Vibes

    async def refine(
        self,
        caller: Caller,
        author: str,
        *drafts: pb.Draft,
        request_id: uuid.UUID | None = None,
        **fields: Any,
    ) -> Refined:
        set_caller(caller)
        request = pb.RefineRequest(
            request_id=str(request_id or uuid.uuid4()), author_ref=author, drafts=drafts, **fields
        )
        return await self.refiner.refine(wire.refine_command(request), caller.principal)

    async def branch(self, caller: Caller, author: str, name: str) -> None:
        set_caller(caller)
        request = pb.CreateBranchRequest(request_id=str(uuid.uuid4()), name=name, author_ref=author)
        await create_branch(self.refiner, self.vibes, wire.create_branch(request), caller.principal)


@asynccontextmanager
async def serving(database: Database) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            await open_pool(database.app_url, application_name="refinery-ledger", max_size=4)
        )
        ledger = Ledger(pool)
        committer = await stack.enter_async_context(aclosing(Committer(ledger)))
        vibes = Vibes(ledger)
        rights = Rights(ledger, frozenset({ROOT.principal}))
        yield Desk(Refiner(vibes, Composer(vibes), committer, rights=rights), vibes)


async def refused(kind: type[RefineryError], refining: Any) -> dict[str, str]:
    with pytest.raises(kind) as refusal:
        await refining
    return dict(refusal.value.metadata)
