"""The default Role of the command line: `refinery up` makes it before the ledger can be reached."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Mapping
from typing import Final

import asyncpg
import grpc

from refinery.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_core.postgres.queries import QUERIES
from refinery_core.settings import CannotStart
from refinery_local import LOCAL_ROLE
from refinery_local.issuer import not_asked
from refinery_local.secured import in_the_clear
from refinery_local.supervise import Child, serving

_GENESIS: Final = "main@system/genesis?1"
_REQUEST_ID: Final = uuid.uuid5(uuid.NAMESPACE_URL, "refinery:roles/local")
"""The same for ever: if the answer to the first request was lost, a second `up` sends the same request."""


async def make_local_role(database: str, environment: Mapping[str, str]) -> None:
    """
    Refine the Role if it is missing, through a private ledger process that ends afterwards.

    Args:
        database: The database in which to look for the Role.
        environment: The settings of that ledger, except its address.

    Raises:
        CannotStart: the ledger did not start, or refuses the Role.
    """
    connection = await asyncpg.connect(database)
    try:
        if await connection.fetchrow(QUERIES["refs_by_name"], [LOCAL_ROLE]) is not None:
            return
    finally:
        await connection.close()
    with tempfile.TemporaryDirectory(prefix="refinery-") as folder:
        address = f"unix:{folder}/ledger"
        ledger = Child(
            name="ledger",
            command=[sys.executable, "-m", "ledger_service"],
            environment=dict(environment)
            | in_the_clear()
            | not_asked()
            | {"REFINERY_LISTEN": address, "REFINERY_AUTH": "none"},
            ready=serving(address),
        )
        try:
            await ledger.start()
            await _refine(address)
        finally:
            await ledger.stop()


async def _refine(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        try:
            await ledger.Refine(_request(), timeout=10.0)
        except grpc.aio.AioRpcError as fault:
            raise CannotStart(f"The ledger refuses {LOCAL_ROLE}: {fault.details()}") from fault


def _request() -> ledger_service_pb2.RefineRequest:
    return ledger_service_pb2.RefineRequest(
        request_id=str(_REQUEST_ID),
        author_ref=_GENESIS,
        drafts=[
            ledger_service_pb2.Draft(
                type=vibe_pb2.VIBE_TYPE_ROLE,
                id="roles/local",
                expected_revision=0,
                solution=vibe_pb2.Document(json='{"title":"Whoever works on this machine"}'),
            )
        ],
    )
