"""A reader is told the same by a ledger with hidden Vibes and by one that never had them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.json_format import MessageToDict

from ledger_service.feed import Feed
from ledger_service.servicer import LedgerServicer
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.errors import RefineryError
from refinery_core.serving.drain import Drain
from refinery_core.serving.principal import set_caller
from refinery_core.stored.composition import Composer
from resolver_service.schemas import Schemas
from resolver_service.servicer import ResolverServicer
from tests.cases.bad_input.rows import document
from tests.conftest import TEMPLATE, Database, fresh
from tests.integration.ledger.desk import BOB, GENESIS, ROOT, Desk, draft, role, serving

READER = {
    "members": [BOB.principal],
    "may": [{"do": ["read"], "ids": ["open/**", "roles/reader"]}, {"do": ["refine"], "ids": ["open/**"]}],
}
OF_THE_LEDGER = {
    "position", "createTime", "chain", "requestDigest", "readPosition", "nextPageToken",
}  # fmt: skip
"""The fields that say where something stands, or how much there is, which is no secret."""


@dataclass(frozen=True)
class Step:
    """One refine: drafts, and the targets of all of them."""

    drafts: list[pb.Draft]
    targets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Doors:
    """Both services of a ledger, as Bob meets them."""

    desk: Desk
    ledger: LedgerServicer
    resolver: ResolverServicer

    async def told(self, servicer: Any, method: str, request: Any) -> Any:
        """The answer, or the refusal, without what is said of the ledger as a whole."""
        set_caller(BOB)
        try:
            answer = getattr(servicer, method)(request, Called())
            if hasattr(answer, "__aiter__"):
                parts = [MessageToDict(part) async for part in answer]
            else:
                parts = [MessageToDict(await answer)]
        except RefineryError as refusal:
            return refusal.reason, refusal.message, dict(refusal.metadata)
        return [without(part) for part in parts]


class Called:
    """A call without transport."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return "test"


def without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without(inner) for name, inner in value.items() if name not in OF_THE_LEDGER}
    return [without(inner) for inner in value] if isinstance(value, list) else value


@asynccontextmanager
async def doors(database: Database) -> AsyncIterator[Doors]:
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(serving(database))
        feed = await stack.enter_async_context(aclosing(Feed(desk.vibes.database, None)))
        yield Doors(
            desk,
            LedgerServicer(desk.refiner, desk.vibes, feed, Drain()),
            ResolverServicer(Schemas(desk.vibes, Composer(desk.vibes), desk.refiner.rights)),
        )


def steps(random_: random.Random) -> list[Step]:
    """Open Vibes refer to open ones, hidden ones to any."""
    made: dict[str, list[str]] = {"open": [], "hidden": []}
    schemas: dict[str, list[str]] = {"open": [], "hidden": []}

    def one(folder: str, number: int) -> pb.Draft:
        id_ = f"{folder}/{random_.choice('abcd')}{number % 3}"
        near = schemas["open"] if folder == "open" else schemas["open"] + schemas["hidden"]
        schema: Any = {"type": "integer"}
        if near and random_.random() < 0.6:
            schema = {"$ref": f"aug:/{random_.choice(near)}"}
        schemas[folder].append(id_)
        made[folder].append(id_)
        return draft(id_, number, schema=document(schema))

    told = []
    for number in range(24):
        folder = random_.choice(("open", "hidden"))
        visible = made["open"] if folder == "open" else made["open"] + made["hidden"]
        targets = [f"aug:/{id_}" for id_ in random_.sample(visible, min(len(visible), random_.randint(0, 2)))]
        drafts = [one(folder, number)]
        if folder == "open" and random_.random() < 0.3:
            drafts.append(one("hidden", number))
        told.append(Step(drafts, targets))
    return told


def is_open(made: pb.Draft) -> bool:
    return made.id.startswith("open/")


async def write(desk: Desk, told: Sequence[Step], *, everything: bool) -> None:
    await desk.refine(ROOT, GENESIS, role("reader", READER), request_id=_id_of(-1))
    for number, step in enumerate(told):
        drafts = [made for made in step.drafts if everything or is_open(made)]
        if drafts:
            await desk.refine(ROOT, GENESIS, *drafts, target_refs=step.targets, request_id=_id_of(number))


def _id_of(number: int) -> UUID:
    return UUID(int=0x8000_8000_0000_0000_1000 + number)


def referring(reference: str) -> vibe_pb2.Document:
    return document({"$ref": f"aug:{reference.removeprefix('aug:')}"})


def questions(told: Sequence[Step]) -> list[tuple[str, str, Any]]:
    ids = sorted({made.id for step in told for made in step.drafts} | {"hidden/none", "open/none"})
    asked: list[tuple[str, str, Any]] = [
        ("ledger", "ListVibes", pb.ListVibesRequest()),
        ("ledger", "ListVibes", pb.ListVibesRequest(id_prefix="h")),
        ("ledger", "ListVibes", pb.ListVibesRequest(id_prefix="o", view=vibe_pb2.VIBE_VIEW_FULL)),
        ("ledger", "ListVibes", pb.ListVibesRequest(branch="main", latest_only=True, page_size=3)),
        ("ledger", "ListVibes", pb.ListVibesRequest(author_ref=GENESIS, page_size=7)),
        ("ledger", "ListRefinements", pb.ListRefinementsRequest()),
        ("ledger", "ListRefinements", pb.ListRefinementsRequest(author_ref=GENESIS, page_size=5)),
        ("ledger", "ListBranches", pb.ListBranchesRequest()),
        ("ledger", "BatchGetVibes", pb.BatchGetVibesRequest(references=[f"aug:/{id_}" for id_ in ids])),
    ]
    for id_ in ids:
        floating, exact = f"aug:/{id_}", f"main@{id_}?1"
        for reference in (floating, exact):
            asked += [
                ("ledger", "GetVibe", pb.GetVibeRequest(reference=reference)),
                ("ledger", "TraceLineage", pb.TraceLineageRequest(reference=reference)),
                (
                    "ledger",
                    "TraceLineage",
                    pb.TraceLineageRequest(reference=reference, direction=pb.LINEAGE_DIRECTION_DOWN),
                ),
                ("resolver", "ResolveReference", resolver_pb.ResolveReferenceRequest(reference=reference)),
                ("resolver", "ResolveSchema", resolver_pb.ResolveSchemaRequest(reference=reference)),
                (
                    "resolver",
                    "ResolveSchema",
                    resolver_pb.ResolveSchemaRequest(reference=reference, repin=True),
                ),
                (
                    "resolver",
                    "ResolveSchema",
                    resolver_pb.ResolveSchemaRequest(
                        schema=document({"$ref": f"aug:{reference.removeprefix('aug:')}"})
                    ),
                ),
                ("resolver", "ValidateSolution", resolver_pb.ValidateSolutionRequest(reference=reference)),
                ("resolver", "ListDependencies", resolver_pb.ListDependenciesRequest(reference=reference)),
                (
                    "resolver",
                    "ListDependents",
                    resolver_pb.ListDependentsRequest(reference=reference, transitive=True),
                ),
            ]
        asked += [
            ("ledger", "ListRevisions", pb.ListRevisionsRequest(id=id_)),
            ("ledger", "GetRefinement", pb.GetRefinementRequest(vibe_ref=exact)),
            (
                "resolver",
                "AnalyzeImpact",
                resolver_pb.AnalyzeImpactRequest(id=id_, schema=document({"type": "string"})),
            ),
        ]
    return asked


@pytest.mark.parametrize("seed", range(5))
async def test_a_reader_is_told_the_same_with_and_without_the_hidden(
    postgres: Any, template: str, seed: int
) -> None:
    told = steps(random.Random(seed))
    async with AsyncExitStack() as stack:
        sides = []
        for everything in (True, False):
            name = await stack.enter_async_context(fresh(postgres, TEMPLATE))
            urls = (postgres.url(name, user) for user in ("refinery_app", "refinery_reader", "postgres"))
            side = await stack.enter_async_context(doors(Database(name, *urls)))
            await write(side.desk, told, everything=everything)
            sides.append(side)
        shown = 0
        for service, method, request in questions(told):
            with_, without_ = [await side.told(getattr(side, service), method, request) for side in sides]
            assert with_ == without_, f"{method} {request}"
            shown += isinstance(with_, list)
        assert shown > 50
