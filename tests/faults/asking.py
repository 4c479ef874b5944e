"""Calls of a ledger that are made once, and their outcomes."""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import uuid4

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client.refusals import refusal_from
from tests.support.ledger import AUTHOR, Ledger


async def refined(ledger: Ledger, *, request_id: str = "", validate_only: bool = False) -> pb.RefineResponse:
    """Refine one RECORD, and not again by itself."""
    draft = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id="x", solution=vibe_pb2.Document(json="1"))
    answer: pb.RefineResponse = await ledger.stub.Refine(
        pb.RefineRequest(
            request_id=request_id or str(uuid4()),
            author_ref=AUTHOR,
            drafts=[draft],
            validate_only=validate_only,
        ),
        timeout=30,
    )
    return answer


async def read(ledger: Ledger) -> None:
    await ledger.stub.ListRefinements(pb.ListRefinementsRequest(), timeout=30)


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal_from(error).reason
    return "OK"


async def serves(ledger: Ledger) -> bool:
    async with grpc.aio.insecure_channel(ledger.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
