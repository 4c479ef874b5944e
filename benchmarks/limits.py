"""The largest legal request of every RPC of ledger and resolver, as a table of cases."""

from __future__ import annotations

import itertools
import json
import random
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final
from uuid import uuid4

import asyncpg
import grpc

from ledger_service.branches import MAX_LEVELS
from ledger_service.extent import MAX_ANSWER_BYTES, MAX_BYTES, MAX_EDGES, MAX_LINES
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as resolver_grpc
from refinery.vibe.v1 import vibe_pb2

AUTHOR: Final = "main@system/genesis?1"
MIB: Final = 1 << 20
DRAFTS: Final = 1_000
INPUTS: Final = 10_000
PAGE: Final = 1_000
REFERENCES: Final = 2_000
WATCHED: Final = 2_000
WIDTH: Final = 16
"""Branches of a draft."""

_numbers = itertools.count()
_random = random.Random(1)


@dataclass
class Limits:
    """The services under test, and the sizes of the hub and of the long line in their ledger."""

    ledger: ledger_grpc.LedgerServiceStub
    resolver: resolver_grpc.ResolverServiceStub
    dependents: int = 50_000
    revisions: int = 100_000
    inputs: list[str] = field(default_factory=list)
    largest: str = ""

    async def refine(self, *drafts: pb.Draft, **fields: Any) -> pb.RefineResponse:
        """Commit one refine."""
        return await self.ledger.Refine(request(drafts, **fields))


@asynccontextmanager
async def connected(ledger: str, resolver: str) -> AsyncIterator[Limits]:
    """Channels as any client has them, with gRPC's own limits."""
    async with grpc.aio.insecure_channel(ledger) as first, grpc.aio.insecure_channel(resolver) as second:
        yield Limits(ledger_grpc.LedgerServiceStub(first), resolver_grpc.ResolverServiceStub(second))


async def prepare(limits: Limits, owner_url: str) -> None:
    """Write the Vibes that the cases read: a hub, a long line of versions, inputs, branches."""
    connection = await asyncpg.connect(owner_url)
    try:
        sql = (files("benchmarks") / "sql" / "limits.sql").read_text()
        for statement in sql.split(";\n\n"):
            count = limits.revisions if "long/line" in statement else limits.dependents
            await connection.execute(statement.replace(":count", str(count)))
    finally:
        await connection.close()
    for start in range(0, INPUTS, DRAFTS):
        made = await limits.refine(
            *(draft(f"inputs/{start + number}", schema={}) for number in range(DRAFTS))
        )
        limits.inputs += [vibe.ref for vibe in made.vibes]
    for number in range(WIDTH - 1):
        await _branch(limits, f"wide/{number}")
    parent = "main"
    for number in range(MAX_LEVELS - 2):
        parent = await _branch(limits, f"deep/{number}", parent)
    await limits.refine(draft("large", solution=_text(MIB), context=_text(MIB)))
    schema = {"properties": {ref: {"$ref": f"aug:{ref}"} for ref in limits.inputs[:REFERENCES]}}
    await limits.refine(draft("hub/of-references", schema=schema))
    made = await limits.refine(
        *(draft() for _ in range(DRAFTS)), target_refs=limits.inputs[: INPUTS // DRAFTS]
    )
    limits.largest = made.vibes[0].ref


# --- The cases ----------------------------------------------------------------------------


async def _documents(limits: Limits, count: int = DRAFTS) -> None:
    await limits.refine(*(draft(solution=_text(3_900)) for _ in range(count)))


async def _chained(limits: Limits, count: int = DRAFTS) -> None:
    ids = [_id() for _ in range(count)]
    drafts = [draft(ids[0], solution=_text(300))]
    for before, id_ in itertools.pairwise(ids):
        drafts.append(draft(id_, solution=_text(300), prototype_ref=f"aug:/{before}"))
    await limits.refine(*drafts)


async def _chained_schemas(limits: Limits, count: int = DRAFTS) -> None:
    """Each refers to an earlier draft of the request, as deep as references may go."""
    ids = [_id() for _ in range(count)]
    drafts = []
    for at, id_ in enumerate(ids):
        schema: dict[str, Any] = {"title": "x" * 200}
        if at % 30:
            schema["properties"] = {"a": {"$ref": f"aug:/{ids[at - 1]}"}}
        drafts.append(draft(id_, schema=schema, solution={"a": {}}))
    await limits.refine(*drafts)


async def _many_inputs(limits: Limits, count: int = DRAFTS) -> None:
    await limits.refine(*(draft() for _ in range(count)), target_refs=limits.inputs[: INPUTS // DRAFTS])


async def _one_of_many_inputs(limits: Limits) -> None:
    names = [f"aug:/{ref.removeprefix('main@').removesuffix('?1')}" for ref in limits.inputs]
    await limits.refine(draft(), target_refs=names)


async def _wide(limits: Limits) -> None:
    branches = ["main", *(f"wide/{number}" for number in range(WIDTH - 1))]
    each = 1 + 2 * (WIDTH - 1)
    await limits.refine(*(draft(branches=branches) for _ in range(MAX_LINES // each)))


async def _deep(limits: Limits) -> None:
    branches = [f"deep/{MAX_LEVELS - 3}"]
    await limits.refine(*(draft(branches=branches) for _ in range(MAX_LINES // (MAX_LEVELS - 1))))


async def _references(limits: Limits, count: int = REFERENCES) -> None:
    schema = {"properties": {ref: {"$ref": f"aug:{ref}"} for ref in limits.inputs[:count]}}
    await limits.refine(draft(schema=schema, solution={limits.inputs[0]: 1}))


async def _a_reference_each(limits: Limits, count: int = DRAFTS) -> None:
    """To schemas that no validator was compiled of before."""
    start = DRAFTS * (1 + next(_numbers) % (INPUTS // DRAFTS - 1))
    refs = limits.inputs[start : start + count]
    drafts = (draft(schema={"$ref": f"aug:{ref}"}, solution=1) for ref in refs)
    await limits.refine(*drafts)


async def _prototypes(limits: Limits) -> None:
    await limits.refine(*(draft(prototype_ref="aug:/large") for _ in range(MAX_BYTES // (2 * MIB))))


async def _prototypes_with_references(limits: Limits) -> None:
    count = MAX_EDGES // (REFERENCES + 2)
    await limits.refine(*(draft(prototype_ref="aug:/hub/of-references") for _ in range(count)))


async def _three_documents(limits: Limits) -> None:
    schema = {"description": _text(MIB - 40)}
    await limits.refine(draft(context=_text(MIB), schema=schema, solution=_text(MIB)))


async def _many_values(limits: Limits) -> None:
    rows = [{"name": f"n{number}", "value": number} for number in range(28_000)]
    await limits.refine(draft(context=rows, schema={"enum": [rows]}, solution=rows))


async def _large_answer(limits: Limits) -> None:
    count = MAX_ANSWER_BYTES // (len(limits.inputs[-1]) + 32)
    await limits.refine(draft(), target_refs=(limits.inputs * 2)[: min(count, INPUTS)])


async def _stream_of_megabytes(limits: Limits) -> None:
    await _stream(limits, [_text(MIB - 100)] * 64)


async def _stream_of_many(limits: Limits) -> None:
    await _stream(limits, ["small"] * 2_000)


async def _stream(limits: Limits, solutions: Sequence[str]) -> None:
    async def requests() -> AsyncIterator[pb.RefineStreamRequest]:
        for solution in solutions:
            yield pb.RefineStreamRequest(refine=request([draft(solution=solution)]))

    answers = [answer async for answer in limits.ledger.RefineStream(requests())]
    assert len(answers) == len(solutions)
    assert not any(answer.HasField("refusal") for answer in answers)


async def _whole_vibe(limits: Limits) -> None:
    await limits.ledger.GetVibe(pb.GetVibeRequest(reference="aug:/large"))


async def _batch(limits: Limits) -> None:
    await limits.ledger.BatchGetVibes(pb.BatchGetVibesRequest(references=limits.inputs[:PAGE]))


async def _batch_of_large(limits: Limits) -> None:
    await limits.ledger.BatchGetVibes(pb.BatchGetVibesRequest(references=["aug:/large"] * PAGE))


async def _list(limits: Limits) -> None:
    for latest in (False, True):
        await limits.ledger.ListVibes(
            pb.ListVibesRequest(
                branch="main",
                id_prefix="hub/",
                latest_only=latest,
                page_size=PAGE,
                view=vibe_pb2.VIBE_VIEW_FULL,
            )
        )


async def _revisions(limits: Limits) -> None:
    answer = await limits.ledger.ListRevisions(pb.ListRevisionsRequest(id="long/line", page_size=PAGE))
    assert len(answer.vibes) == PAGE


async def _refinement(limits: Limits) -> None:
    await limits.ledger.GetRefinement(pb.GetRefinementRequest(vibe_ref=limits.largest))


async def _refinements(limits: Limits) -> None:
    last = (await limits.ledger.GetVibe(pb.GetVibeRequest(reference=limits.largest))).vibe.position
    await limits.ledger.ListRefinements(pb.ListRefinementsRequest(after_position=last - 30, page_size=PAGE))


async def _lineage(limits: Limits) -> None:
    request = pb.TraceLineageRequest(
        reference="main@hub?1", direction=pb.LINEAGE_DIRECTION_DOWN, max_vibes=100_000
    )
    steps = 0
    async for part in limits.ledger.TraceLineage(request):
        steps += len(part.steps)
    assert steps > limits.dependents


async def _watch(limits: Limits) -> None:
    """Past the hub, which is one refinement of all its Vibes, and past the largest of the refines before."""
    hub = (await limits.ledger.GetVibe(pb.GetVibeRequest(reference="main@hub?1"))).vibe.position
    largest = (await limits.ledger.GetVibe(pb.GetVibeRequest(reference=limits.largest))).vibe.position
    await _watch_between(limits, hub - 1, hub + WATCHED)
    await _watch_between(limits, largest - 1, (await limits.refine(draft())).refinement.position)


async def _watch_between(limits: Limits, after: int, until: int) -> None:
    request = pb.WatchVibesRequest(after_position=after, view=vibe_pb2.VIBE_VIEW_FULL)
    call = limits.ledger.WatchVibes(request)
    async for news in call:
        if news.position >= until:
            break
    call.cancel()


async def _create_branch(limits: Limits) -> None:
    await _branch(limits, f"deepest/{next(_numbers)}", f"deep/{MAX_LEVELS - 3}")


async def _branches(limits: Limits) -> None:
    await limits.ledger.ListBranches(pb.ListBranchesRequest(page_size=PAGE))


async def _about(limits: Limits) -> None:
    await limits.ledger.GetLedger(pb.GetLedgerRequest())


async def _who(limits: Limits) -> None:
    await limits.ledger.WhoAmI(pb.WhoAmIRequest())


async def _access(limits: Limits) -> None:
    groups = [f"group:{number:0{506}}" for number in range(1_000)]
    await limits.ledger.CheckAccess(
        pb.CheckAccessRequest(verb=vibe_pb2.VERB_READ, id=_id(), principal="ada", groups=groups)
    )


async def _denials(limits: Limits) -> None:
    await limits.ledger.ListDenials(pb.ListDenialsRequest(page_size=1_000))


async def _resolve(limits: Limits) -> None:
    context = vibe_pb2.Context(branch=f"deep/{MAX_LEVELS - 3}")
    await limits.resolver.ResolveReference(
        resolver_pb.ResolveReferenceRequest(reference="aug:/long/line", context=context)
    )


async def _resolve_schema(limits: Limits) -> None:
    for form in (
        resolver_pb.SCHEMA_FORM_BUNDLED,
        resolver_pb.SCHEMA_FORM_EMBEDDED,
        resolver_pb.SCHEMA_FORM_PINNED,
    ):
        await limits.resolver.ResolveSchema(
            resolver_pb.ResolveSchemaRequest(reference="aug:/hub/of-references", form=form)
        )


async def _validate(limits: Limits) -> None:
    solution = vibe_pb2.Document(json=json.dumps(dict.fromkeys(limits.inputs, 1)))
    await limits.resolver.ValidateSolution(
        resolver_pb.ValidateSolutionRequest(reference="aug:/hub/of-references", solution=solution)
    )


async def _dependencies(limits: Limits) -> None:
    for transitive in (False, True):
        answer = await limits.resolver.ListDependencies(
            resolver_pb.ListDependenciesRequest(
                reference="aug:/hub/of-references", transitive=transitive, page_size=PAGE
            )
        )
        assert len(answer.dependencies) == PAGE


async def _dependents(limits: Limits) -> None:
    for transitive, any_revision in itertools.product((False, True), repeat=2):
        answer = await limits.resolver.ListDependents(
            resolver_pb.ListDependentsRequest(
                reference="aug:/hub", page_size=PAGE, transitive=transitive, any_revision=any_revision
            )
        )
        assert len(answer.dependents) == PAGE


async def _dependents_of_a_long_line(limits: Limits) -> None:
    await limits.resolver.ListDependents(
        resolver_pb.ListDependentsRequest(reference="aug:/long/line", any_revision=True, page_size=PAGE)
    )


async def _impact(limits: Limits) -> None:
    schema = vibe_pb2.Document(json='{"type": "object", "required": ["b"]}')
    call = limits.resolver.AnalyzeImpact(
        resolver_pb.AnalyzeImpactRequest(id="hub", schema=schema, max_vibes=100_000)
    )
    found = 0
    async for part in call:
        found += len(part.impacts)
    assert found == limits.dependents


Case = Callable[[Limits], Awaitable[None]]

CASES: Final[dict[str, Case]] = {
    "Refine: 1,000 drafts of 4 KB": _documents,
    "Refine: 1,000 drafts, each by the one before as prototype": _chained,
    "Refine: 1,000 drafts that refer to earlier ones, 30 deep": _chained_schemas,
    "Refine: 1,000 drafts with 10 inputs each": _many_inputs,
    "Refine: one draft with 10,000 floating inputs": _one_of_many_inputs,
    "Refine: drafts on 16 branches each, 10,000 lookups": _wide,
    "Refine: drafts on a branch 30 away from main, 10,000 lookups": _deep,
    "Refine: a schema with 2,000 references": _references,
    "Refine: 1,000 schemas with a reference each": _a_reference_each,
    "Refine: 8 MiB taken over from a prototype": _prototypes,
    "Refine: 12,000 references taken over from a prototype": _prototypes_with_references,
    "Refine: documents of 1 MiB in all three places": _three_documents,
    "Refine: the same, of many small values": _many_values,
    "Refine: the largest answer": _large_answer,
    "RefineStream: 64 x 1 MiB": _stream_of_megabytes,
    "RefineStream: 2,000 small ones": _stream_of_many,
    "GetVibe: 2 MiB": _whole_vibe,
    "BatchGetVibes: 1,000": _batch,
    "BatchGetVibes: 1,000 of 2 MiB": _batch_of_large,
    "ListVibes: pages of 1,000, whole": _list,
    "ListRevisions: 1,000 of 100,000": _revisions,
    "GetRefinement: 1,000 drafts with 10 inputs each": _refinement,
    "ListRefinements: a page of such": _refinements,
    "TraceLineage: down from a hub of 50,000": _lineage,
    "WatchVibes: past the largest refinements, whole": _watch,
    "CreateBranch: as deep as may be": _create_branch,
    "ListBranches: a page": _branches,
    "GetLedger: of all of this": _about,
    "WhoAmI: of a caller without a token": _who,
    "CheckAccess: of 1,000 groups of 512 bytes": _access,
    "ListDenials: a page": _denials,
    "ResolveReference: through 31 branches": _resolve,
    "ResolveSchema: 2,000 references, in all forms": _resolve_schema,
    "ValidateSolution: against 2,000 references": _validate,
    "ListDependencies: pages of 1,000": _dependencies,
    "ListDependents: of a hub of 50,000, in all ways": _dependents,
    "ListDependents: of any of 100,000 revisions": _dependents_of_a_long_line,
    "AnalyzeImpact: of a hub of 50,000": _impact,
}

GROWING: Final[dict[str, tuple[Callable[[Limits, int], Awaitable[None]], int]]] = {
    "drafts of 4 KB": (_documents, DRAFTS),
    "drafts, each by the one before as prototype": (_chained, DRAFTS),
    "drafts that refer to earlier ones": (_chained_schemas, DRAFTS),
    "drafts with 10 inputs each": (_many_inputs, DRAFTS),
    "references of a schema": (_references, REFERENCES),
    "schemas with a reference each": (_a_reference_each, DRAFTS),
}
"""Cases that are measured at a quarter, a half and the whole of their limit."""


# --- Requests -----------------------------------------------------------------------------


def _id() -> str:
    return f"limits/{uuid4().hex}/{next(_numbers)}"


def _text(size: int) -> str:
    """A text of a given size in JSON that does not compress to nothing when it is stored."""
    return "".join(_random.choices(string.ascii_letters + " " * 8, k=size - 2))


def draft(id_: str | None = None, **fields: Any) -> pb.Draft:
    documents: dict[str, Any] = {
        name: vibe_pb2.Document(json=json.dumps(fields.pop(name), separators=(",", ":")))
        for name in ("context", "schema", "solution")
        if name in fields
    }
    return pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id=id_ or _id(), **documents, **fields)


def request(drafts: Sequence[pb.Draft], **fields: Any) -> pb.RefineRequest:
    return pb.RefineRequest(request_id=str(uuid4()), author_ref=AUTHOR, drafts=drafts, **fields)


async def _branch(limits: Limits, name: str, parent: str = "main") -> str:
    await limits.ledger.CreateBranch(
        pb.CreateBranchRequest(request_id=str(uuid4()), author_ref=AUTHOR, name=name, parent=parent)
    )
    return name
