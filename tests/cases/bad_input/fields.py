"""Every field of every request of the contract, to be filled with values that it was not made for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from refinery.ledger.v1 import ledger_service_pb2 as ledger
from refinery.resolver.v1 import resolver_service_pb2 as resolver
from refinery.vibe.v1 import vibe_pb2 as vibe
from tests.cases.bad_input.rows import AUTHOR, REQUEST_ID, document, draft, refine

M = TypeVar("M", bound=Message)
Way = tuple[FieldDescriptor, ...]
"""The fields on the way from a message to one inside it."""

USER = "aug:/schemas/user"

GOOD: dict[str, Message] = {
    "Refine": refine(draft(id="evil"), validate_only=True),
    "RefineStream": ledger.RefineStreamRequest(refine=refine(draft(id="evil"), validate_only=True)),
    "GetVibe": ledger.GetVibeRequest(reference=AUTHOR),
    "BatchGetVibes": ledger.BatchGetVibesRequest(references=[AUTHOR]),
    "ListVibes": ledger.ListVibesRequest(),
    "ListRevisions": ledger.ListRevisionsRequest(id="schemas/user"),
    "GetRefinement": ledger.GetRefinementRequest(position=1),
    "ListRefinements": ledger.ListRefinementsRequest(),
    "TraceLineage": ledger.TraceLineageRequest(reference=AUTHOR),
    "WatchVibes": ledger.WatchVibesRequest(after_position=2**40),
    "CreateBranch": ledger.CreateBranchRequest(request_id=REQUEST_ID, author_ref=AUTHOR, name="dev"),
    "ListBranches": ledger.ListBranchesRequest(),
    "GetLedger": ledger.GetLedgerRequest(),
    "WhoAmI": ledger.WhoAmIRequest(),
    "CheckAccess": ledger.CheckAccessRequest(verb=vibe.VERB_READ, id="schemas/user"),
    "ListDenials": ledger.ListDenialsRequest(),
    "ResolveReference": resolver.ResolveReferenceRequest(reference=AUTHOR),
    "ResolveSchema": resolver.ResolveSchemaRequest(reference=USER),
    "ValidateSolution": resolver.ValidateSolutionRequest(reference=USER, solution=document(1)),
    "ListDependencies": resolver.ListDependenciesRequest(reference=USER),
    "ListDependents": resolver.ListDependentsRequest(reference=USER),
    "AnalyzeImpact": resolver.AnalyzeImpactRequest(id="schemas/user"),
}
"""A request of each method that writes nothing. All but WatchVibes and CreateBranch are answered."""

EVIL = (
    "'; drop table refinery.vibes; --",
    "a' or '1'='1",
    "$$; select pg_sleep(9); $$",
    "%_\\",
    "\0",
    "a\0b",
    "${jndi:env}",
    "../../etc/passwd",
    "\u202euser\u200f",
    "cafe\u0301",
    "\U0001f9fe",
    "\ufeff",
    "\n",
    "x" * 10_000,
)
STRINGS = (FieldDescriptor.TYPE_STRING,)
ENUMS = (FieldDescriptor.TYPE_ENUM,)
NUMBERS = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)


def ways(descriptor: Any, kinds: tuple[int, ...]) -> Iterator[Way]:
    """The ways from a message to each field of these kinds, through messages of ours."""
    for field in descriptor.fields:
        if field.type in kinds:
            yield (field,)
        elif field.message_type is not None and field.message_type.file.package.startswith("refinery."):
            for way in ways(field.message_type, kinds):
                yield (field, *way)


def filled(message: M, way: Way, value: object) -> M:
    """A copy of a message with this in the field; missing messages around the field are made."""
    copy = type(message).FromString(message.SerializeToString())
    holder: Any = copy
    for step in way[:-1]:
        holder = getattr(holder, step.name)
        if step.is_repeated:
            holder = holder[0] if holder else holder.add()
        else:
            holder.SetInParent()
    if way[-1].is_repeated:
        getattr(holder, way[-1].name).append(value)
    else:
        setattr(holder, way[-1].name, value)
    return copy


def written(way: Way) -> str:
    """The way as people write it."""
    return ".".join(step.name for step in way)
