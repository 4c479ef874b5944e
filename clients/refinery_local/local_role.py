"""The Roles of one machine: `refinery up` makes them before the ledger can be reached."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import grpc
import orjson

from refinery.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_core.postgres.database import NOW
from refinery_core.postgres.queries import QUERIES
from refinery_core.settings import CannotStart
from refinery_core.vibe.refs import Ref
from refinery_core.vibe.roles import Verb
from refinery_local import LOCAL_ROLE
from refinery_local.issuer import not_asked
from refinery_local.secured import WORKER_ROLE, Secured, in_the_clear
from refinery_local.supervise import Child, serving

_GENESIS: Final = "main@system/genesis?1"
_FIRST: Final = uuid.uuid5(uuid.NAMESPACE_URL, "refinery:roles/local")
"""The request_id of the first Role: if the answer was lost, a second `up` sends the same request."""
_EVERYTHING: Final[list[dict[str, Any]]] = [{"do": [verb for verb in Verb if verb is not Verb.CARRY_OUT]}]
_OF_WORKER: Final[list[dict[str, Any]]] = [
    {"do": [Verb.CARRY_OUT], "ids": ["executions/**", "schedules/**"]},
    {"do": [Verb.REFINE], "ids": ["executions/**"]},
    {"do": [Verb.READ]},
]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A Role that has to be there; with a member, it has to be held by it."""

    id: str
    title: str
    member: str | None = None
    may: Sequence[Mapping[str, Any]] = ()

    def solution(self, before: Any) -> dict[str, Any]:
        """The solution, in place of the one before: nobody else loses what it gave."""
        solution = before if isinstance(before, dict) else {"title": self.title}
        if self.member is not None:
            solution |= {
                "members": [*dict.fromkeys([*solution.get("members", ()), self.member])],
                "may": solution.get("may") or [*self.may],
            }
        return solution


async def make_local_roles(database: str, environment: Mapping[str, str], secured: Secured | None) -> None:
    """
    Refine the Roles of this machine that are missing, through a private ledger process that ends afterwards.

    Args:
        database: The database in which to look for the Roles.
        environment: The settings of that ledger, except its address.
        secured: The principals that have to hold them, where callers are authenticated.

    Raises:
        CannotStart: the ledger did not start, or refuses a Role.
    """
    wanted = [_Wanted(Ref.parse(LOCAL_ROLE).id, "Whoever works on this machine")]
    if secured is not None:
        wanted = [
            _Wanted(wanted[0].id, wanted[0].title, secured.person_principal, _EVERYTHING),
            _Wanted(WORKER_ROLE, "Carries executions out", secured.worker_principal, _OF_WORKER),
        ]
    missing = await _missing(database, wanted)
    if not missing:
        return
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
            await _refine(address, missing)
        finally:
            await ledger.stop()


async def _missing(database: str, wanted: Sequence[_Wanted]) -> list[tuple[_Wanted, int, Any]]:
    """The Roles that are not there or not held, with the revision and solution that they have now."""
    missing: list[tuple[_Wanted, int, Any]] = []
    connection = await asyncpg.connect(database)
    try:
        for role in wanted:
            (row,) = await connection.fetch(QUERIES["role_in_force"], role.id)
            held = role.member is None or any(
                Ref.parse(row["ref"]).id == role.id
                for row in await connection.fetch(
                    QUERIES["roles_held"], orjson.dumps([role.member]).decode(), NOW
                )
            )
            if row["revision"] is None or not held:
                solution = None if row["solution"] is None else orjson.loads(row["solution"])
                missing.append((role, row["revision"] or 0, solution))
    finally:
        await connection.close()
    return missing


async def _refine(address: str, missing: Sequence[tuple[_Wanted, int, Any]]) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)
        for role, revision, before in missing:
            try:
                await ledger.Refine(_request(role, revision, before), timeout=10.0)
            except grpc.aio.AioRpcError as fault:
                raise CannotStart(f"The ledger refuses the Role {role.id}: {fault.details()}") from fault


def _request(role: _Wanted, revision: int, before: Any) -> ledger_service_pb2.RefineRequest:
    solution = role.solution(before)
    is_first = revision == 0 and role.member is None
    return ledger_service_pb2.RefineRequest(
        request_id=str(_FIRST if is_first else uuid.uuid4()),
        author_ref=_GENESIS,
        drafts=[
            ledger_service_pb2.Draft(
                type=vibe_pb2.VIBE_TYPE_ROLE,
                id=role.id,
                expected_revision=revision,
                solution=vibe_pb2.Document(json=orjson.dumps(solution).decode()),
            )
        ],
    )
