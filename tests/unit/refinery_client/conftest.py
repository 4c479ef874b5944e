"""Small services in memory behind a real server, and a client that is connected to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import grpc
import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery.process.v1 import process_service_pb2 as process_pb
from refinery.process.v1 import process_service_pb2_grpc as process_grpc
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Refinery
from refinery_core import wire
from refinery_core.errors import (
    Draining,
    InvalidField,
    RefinementNotFound,
    RefineryError,
    VibeNotFound,
)
from refinery_core.serving.authentication.authenticating import OPEN, Authentication
from refinery_core.serving.drain import Drain
from refinery_core.serving.server import Patience, Service
from refinery_core.vibe.model import Branch, Edge, EdgeType, Refinement, Vibe, VibeType
from tests.support.serving import served

TIME = datetime(2026, 11, 21, 4, 5, 6, 789_012, tzinfo=UTC)


def vibe(id_: str, position: int, **documents: Any) -> Vibe:
    return Vibe(
        ref=f"main@{id_}?{position}",
        id=id_,
        branches=("main",),
        revision=position,
        type=VibeType.RECORD,
        author_ref="main@roles/local?1",
        prototype_ref=None,
        refinement_id=UUID(int=position),
        position=position,
        time=TIME,
        content_digest=b"c" * 32,
        digest=b"d" * 32,
        schema_refs=(),
        **documents,
    )


def refinement(position: int, request_id: str, refs: tuple[str, ...] = ()) -> Refinement:
    return Refinement(
        id=UUID(int=position),
        position=position,
        request_id=UUID(request_id),
        principal="anonymous",
        time=TIME,
        author_ref="main@roles/local?1",
        target_refs=(),
        instruction_refs=(),
        budget_refs=(),
        vibe_refs=refs,
        chain=b"h" * 32,
        request_digest=b"r" * 32,
    )


@dataclass
class SmallLedger(pb_grpc.LedgerServiceServicer):
    """Commits into a dict by request_id; `failures` are raised first, one a call."""

    failures: list[Exception] = field(default_factory=list)
    committed: dict[str, pb.RefineResponse] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)
    drop_after: int | None = None
    drops_with: grpc.StatusCode | None = None
    """The code with which a stream is dropped, as gRPC itself drops calls; None is Draining."""
    stalls: bool = False
    time_remaining: float | None = None
    """Seconds that the caller gave the last walk; None is no deadline."""
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def _fail(self, request: Any) -> None:
        self.calls.append(request)
        if self.failures:
            raise self.failures.pop(0)

    async def _drop(self, context: Any) -> None:
        self.drop_after = None
        if self.drops_with is not None:
            await context.abort(self.drops_with)
        raise Draining

    def commit(self, request: pb.RefineRequest) -> pb.RefineResponse:
        if request.request_id in self.committed:
            again = pb.RefineResponse()
            again.CopyFrom(self.committed[request.request_id])
            again.replayed = True
            return again
        position = len(self.committed) + 1
        vibes = [vibe(draft.id, position) for draft in request.drafts]
        made = refinement(position, request.request_id, tuple(one.ref for one in vibes))
        answer = pb.RefineResponse(
            refinement=wire.refinement_message(made), vibes=[wire.vibe_message(one) for one in vibes]
        )
        if request.validate_only:
            return pb.RefineResponse(vibes=answer.vibes)
        self.committed[request.request_id] = answer
        self.grown.set()
        self.grown = asyncio.Event()
        return answer

    async def Refine(self, request: pb.RefineRequest, context: Any) -> pb.RefineResponse:  # noqa: N802
        self._fail(request)
        answer = self.commit(request)
        if self.drop_after == 0:
            await self._drop(context)  # committed, and the answer lost
        return answer

    async def RefineStream(  # noqa: N802
        self, requests: AsyncIterator[pb.RefineStreamRequest], context: Any
    ) -> AsyncIterator[pb.RefineStreamResponse]:
        answered = 0
        async for message in requests:
            refine = message.refine
            self.calls.append(refine)
            if answered == self.drop_after:
                self.commit(refine)  # committed, and the answer lost
                await self._drop(context)
            answered += 1
            answer = pb.RefineStreamResponse(request_id=refine.request_id)
            try:
                if refine.drafts[0].id == "bad":
                    raise InvalidField(field="drafts[0].id", problem="is bad")
                if refine.drafts[0].id == "hot" and self.failures:
                    raise self.failures.pop(0)
                answer.response.CopyFrom(self.commit(refine))
            except RefineryError as refusal:
                answer.refusal.CopyFrom(
                    pb.Refusal(
                        code=int(refusal.code),
                        reason=refusal.reason,
                        message=refusal.message,
                        metadata=refusal.metadata,
                    )
                )
            yield answer

    async def GetVibe(self, request: pb.GetVibeRequest, context: Any) -> pb.GetVibeResponse:  # noqa: N802
        self._fail(request)
        if self.stalls:
            await asyncio.Event().wait()
        if request.reference == "main@missing?1":
            raise VibeNotFound(reference=request.reference)
        found = vibe("x", 1, solution='{"a":[1,null,"é"]}', context="null")
        return pb.GetVibeResponse(vibe=wire.vibe_message(found))

    async def BatchGetVibes(  # noqa: N802
        self, request: pb.BatchGetVibesRequest, context: Any
    ) -> pb.BatchGetVibesResponse:
        self._fail(request)
        cut = request.references[:2]  # as if no more would fit
        return pb.BatchGetVibesResponse(vibes=[wire.vibe_message(vibe(name, 1)) for name in cut])

    async def ListVibes(  # noqa: N802
        self, request: pb.ListVibesRequest, context: Any
    ) -> pb.ListVibesResponse:
        self._fail(request)
        start = int(request.page_token or 0)
        vibes = [wire.vibe_message(vibe(f"v{number}", number)) for number in range(start + 1, start + 3)]
        return pb.ListVibesResponse(vibes=vibes, next_page_token=str(start + 2) if start < 4 else "")

    async def GetRefinement(  # noqa: N802
        self, request: pb.GetRefinementRequest, context: Any
    ) -> pb.GetRefinementResponse:
        if request.request_id not in self.committed:
            raise RefinementNotFound(name=request.request_id)
        return pb.GetRefinementResponse(refinement=self.committed[request.request_id].refinement)

    async def TraceLineage(  # noqa: N802
        self, request: pb.TraceLineageRequest, context: Any
    ) -> AsyncIterator[pb.TraceLineageResponse]:
        self._fail(request)
        self.time_remaining = context.time_remaining()
        edge = wire.edge_message(Edge("main@a?1", "main@b?1", EdgeType.TARGET))
        for depth in range(3):
            step = pb.LineageStep(
                ref=f"main@{'abc'[depth]}?1",
                depth=depth,
                type=vibe_pb2.VIBE_TYPE_RECORD,
                position=9,
                edges=[edge] * depth,
            )
            yield pb.TraceLineageResponse(steps=[step], truncated=depth == 2)
            if self.stalls and depth == 1:
                await asyncio.Event().wait()

    async def WatchVibes(  # noqa: N802
        self, request: pb.WatchVibesRequest, context: Any
    ) -> AsyncIterator[pb.WatchVibesResponse]:
        self._fail(request)
        at, sent = request.after_position, 0
        while True:
            grown = self.grown
            for answer in list(self.committed.values())[at:]:
                if sent == self.drop_after:
                    await self._drop(context)
                made, sent = answer.refinement, sent + 1
                # Each comes in two messages; only the last one carries its position.
                yield pb.WatchVibesResponse(position=at, refinement=made, vibes=answer.vibes[:1])
                if sent == self.drop_after:
                    await self._drop(context)
                yield pb.WatchVibesResponse(position=made.position, refinement=made, vibes=answer.vibes[1:])
                at = made.position
            yield pb.WatchVibesResponse(position=at)
            await grown.wait()

    async def CreateBranch(  # noqa: N802
        self, request: pb.CreateBranchRequest, context: Any
    ) -> pb.CreateBranchResponse:
        self._fail(request)
        made = Branch(
            request.name, request.parent or "main", request.fork_position, "main@system/branches/b?1"
        )
        return pb.CreateBranchResponse(
            branch=wire.branch_message(made),
            refinement=wire.refinement_message(refinement(1, request.request_id)),
        )


class SmallResolver(resolver_grpc.ResolverServiceServicer):
    async def ResolveSchema(  # noqa: N802
        self, request: resolver_pb.ResolveSchemaRequest, context: Any
    ) -> resolver_pb.ResolveSchemaResponse:
        form = resolver_pb.SchemaForm.Name(request.form)
        answer = resolver_pb.ResolveSchemaResponse(dependencies=[form])
        answer.schema.json = request.schema.json or '{"type":"object"}'
        if request.HasField("reference"):
            answer.ref = request.reference
        return answer

    async def AnalyzeImpact(  # noqa: N802
        self, request: resolver_pb.AnalyzeImpactRequest, context: Any
    ) -> AsyncIterator[resolver_pb.AnalyzeImpactResponse]:
        impact = resolver_pb.Impact(ref="main@a?1", verdict=resolver_pb.IMPACT_VERDICT_INVALID, depth=1)
        impact.violations.add(instance_path="/a", schema_path="/type", message="no")
        yield resolver_pb.AnalyzeImpactResponse(impacts=[impact])


@dataclass
class SmallProcesses(process_grpc.ProcessServiceServicer):
    """Gives the answers set by a test; `failures` are raised first, one a call."""

    failures: list[Exception] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    seconds_left: list[float | None] = field(default_factory=list)
    called: process_pb.CallCapabilityResponse = field(default_factory=process_pb.CallCapabilityResponse)
    stalls: bool = False

    async def _fail(self, request: Any, context: Any) -> None:
        self.calls.append(request)
        self.seconds_left.append(context.time_remaining())
        if self.failures:
            raise self.failures.pop(0)
        if self.stalls:
            await asyncio.Event().wait()

    async def CallCapability(  # noqa: N802
        self, request: process_pb.CallCapabilityRequest, context: Any
    ) -> process_pb.CallCapabilityResponse:
        await self._fail(request, context)
        return self.called

    async def CancelExecution(  # noqa: N802
        self, request: process_pb.CancelExecutionRequest, context: Any
    ) -> process_pb.CancelExecutionResponse:
        await self._fail(request, context)
        return process_pb.CancelExecutionResponse()


@dataclass
class Small:
    """Everything a test of the client needs."""

    ledger: SmallLedger
    processes: SmallProcesses
    refinery: Refinery
    address: str


@asynccontextmanager
async def serving(authentication: Authentication = OPEN, **connect: Any) -> AsyncIterator[Small]:
    """Serve them, and connect; `connect` are further arguments of Refinery.connect."""
    ledger, drain = SmallLedger(), Drain()  # type: ignore[abstract]
    resolver = SmallResolver()  # type: ignore[abstract]
    processes = SmallProcesses()  # type: ignore[abstract]
    services = [
        Service(
            "refinery.ledger.v1.LedgerService", partial(pb_grpc.add_LedgerServiceServicer_to_server, ledger)
        ),
        Service(
            "refinery.resolver.v1.ResolverService",
            partial(resolver_grpc.add_ResolverServiceServicer_to_server, resolver),
        ),
        Service(
            "refinery.process.v1.ProcessService",
            partial(process_grpc.add_ProcessServiceServicer_to_server, processes),
        ),
    ]
    patience = Patience(grace_seconds=0.2, linger_seconds=0)
    async with (
        served(*services, drain=drain, patience=patience, authentication=authentication) as server,
        Refinery.connect(
            ledger=server.address,
            resolver=server.address,
            process=server.address,
            **({"timeout_seconds": 5} | connect),
        ) as refinery,
    ):
        yield Small(ledger, processes, refinery, server.address)


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with serving() as one:
        yield one
