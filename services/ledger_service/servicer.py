"""LedgerService: each method reads the request, asks, and writes the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

from grpc.aio import ServicerContext as Context

from ledger_service import access, branches, lineage, reads, wire
from ledger_service.about import about
from ledger_service.candidates import M
from ledger_service.feed import Feed
from ledger_service.intake import Intake
from ledger_service.reads import Asked
from ledger_service.refine import Refiner
from ledger_service.seen import check_seen
from ledger_service.watch import watch
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery_core.errors import InvalidField, VibeNotFound
from refinery_core.fields import (
    context_from,
    position_from,
    prefix_from,
    reference_from,
    references_from,
)
from refinery_core.kept import Kept
from refinery_core.pages import page_size
from refinery_core.serving.drain import Drain
from refinery_core.serving.principal import caller_of, current_caller
from refinery_core.stored.rights import Rights, hidden
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Vibe
from refinery_core.vibe.roles import Reader
from refinery_core.wire import (
    DocumentForm,
    branch_message,
    document_form,
    refinement_message,
    vibe_message,
    vibe_type_from,
    wants_full,
)

T = TypeVar("T")

DIGEST_BYTES = 32

Question = tuple[str, int, DocumentForm]
"""A ref, the view that is asked for, and how documents are written."""


@dataclass(frozen=True)
class LedgerServicer(pb_grpc.LedgerServiceServicer):
    """The ledger over gRPC."""

    refiner: Refiner
    vibes: Vibes
    feed: Feed
    drain: Drain
    answers: Kept[Question, pb.GetVibeResponse] = field(default_factory=lambda: Kept(32 << 20))

    @cached_property
    def intake(self) -> Intake:
        """The intake of refines."""
        return Intake(self.refiner, self.drain, self.feed.giving_way)

    @cached_property
    def rights(self) -> Rights:
        """The Roles that callers hold, and what those let them read."""
        return self.refiner.rights

    async def Refine(self, request: pb.RefineRequest, context: Context[Any, Any]) -> pb.RefineResponse:
        """Commit one refine."""
        return await self.intake.refine(request, caller_of(context))

    async def RefineStream(
        self, request_iterator: AsyncIterator[pb.RefineStreamRequest], context: Context[Any, Any]
    ) -> AsyncIterator[pb.RefineStreamResponse]:
        """Commit many refines, each with its own outcome, a bounded number at once."""
        async with aclosing(self.intake.stream(request_iterator, caller_of(context))) as answers:
            async for answer in answers:
                yield answer

    async def GetVibe(self, request: pb.GetVibeRequest, context: Context[Any, Any]) -> pb.GetVibeResponse:
        """Find one Vibe. The answer for a ref never changes, so it is kept as it is sent."""
        form = document_form(context.invocation_metadata())
        question = request.reference, request.view, form
        in_context = request.HasField("context")
        reader = await self._reader()
        answer = None if in_context else self.answers.get(question)
        if answer is None:
            full = wants_full(request.view, absent=True)
            vibe = await self._vibe(request)
            answer = pb.GetVibeResponse(vibe=vibe_message(vibe, full=full, form=form))
            if vibe.ref == request.reference and not in_context:
                self.answers.keep(question, answer, 500 + 2 * answer.ByteSize())
        found = answer.vibe
        if not reader.everything and not reader.sees(found.id, found.branches, vibe_type_from(found.type)):
            is_named = request.WhichOneof("name") == "reference"
            name = reference_from(request.reference, "reference") if is_named else request.digest.hex()
            raise VibeNotFound(reference=name)
        return answer

    async def _reader(self) -> Reader:
        """The caller's right to read."""
        return await self.rights.reader(current_caller())

    async def _asked(self, request: _PageRequest, write: Callable[[T], M]) -> Asked[T, M]:
        """The page that is asked for, and what the caller may read of it."""
        reader = await self._reader()
        seal = await self.rights.seal(reader)
        return Asked(page_size(request.page_size), request.page_token, write, reader, seal)

    async def _vibe(self, request: pb.GetVibeRequest) -> Vibe:
        name = request.WhichOneof("name")
        if name == "digest":
            if request.HasField("context"):
                raise InvalidField(field="context", problem="may not be combined with digest")
            if len(request.digest) != DIGEST_BYTES:
                raise InvalidField(field="digest", problem=f"is not {DIGEST_BYTES} bytes long")
            return await reads.vibe_by_digest(self.vibes, request.digest)
        if name is None:
            raise InvalidField(field="reference", problem="is required")
        uri = reference_from(request.reference, "reference")
        return (await self.vibes.find([uri], context_from(request.context)))[0]

    async def BatchGetVibes(
        self, request: pb.BatchGetVibesRequest, context: Context[Any, Any]
    ) -> pb.BatchGetVibesResponse:
        """Find many, in order, as many as an answer can hold."""
        full = wants_full(request.view, absent=True)
        form = document_form(context.invocation_metadata())
        if not 1 <= len(request.references) <= reads.MAX_BATCH:
            problem = f"takes 1 to {reads.MAX_BATCH}, not {len(request.references)}"
            raise InvalidField(field="references", problem=problem)
        uris = references_from(request.references, "references")
        located = await self.vibes.locate(uris, context_from(request.context))
        refs = [ref for ref in located if ref is not None]
        unseen = await hidden(self.vibes.database, await self._reader(), refs)
        if unseen or len(refs) < len(uris):
            missing = (uri for uri, ref in zip(uris, located, strict=True) if ref is None or ref in unseen)
            raise VibeNotFound(reference=next(missing))
        write = partial(vibe_message, full=full, form=form)
        return pb.BatchGetVibesResponse(vibes=await reads.batch_get_vibes(self.vibes, refs, write, full=full))

    async def ListVibes(
        self, request: pb.ListVibesRequest, context: Context[Any, Any]
    ) -> pb.ListVibesResponse:
        """List a page of Vibes."""
        full = wants_full(request.view, absent=False)
        form = document_form(context.invocation_metadata())
        asked = await self._asked(request, partial(vibe_message, full=full, form=form))
        page = await reads.list_vibes(self.vibes, wire.vibe_filter(request), asked, full=full)
        return pb.ListVibesResponse(vibes=page.items, next_page_token=page.next_page_token)

    async def ListRevisions(
        self, request: pb.ListRevisionsRequest, context: Context[Any, Any]
    ) -> pb.ListRevisionsResponse:
        """List a page of versions."""
        full = wants_full(request.view, absent=False)
        form = document_form(context.invocation_metadata())
        asked = await self._asked(request, partial(vibe_message, full=full, form=form))
        page = await reads.list_revisions(self.vibes, wire.revisions(request), asked, full=full)
        return pb.ListRevisionsResponse(vibes=page.items, next_page_token=page.next_page_token)

    async def GetRefinement(
        self, request: pb.GetRefinementRequest, context: Context[Any, Any]
    ) -> pb.GetRefinementResponse:
        """Find one refinement."""
        name = wire.refinement_name(request)
        refinement = await reads.refinement(self.vibes.database, name, await self._reader())
        return pb.GetRefinementResponse(refinement=refinement_message(refinement))

    async def ListRefinements(
        self, request: pb.ListRefinementsRequest, context: Context[Any, Any]
    ) -> pb.ListRefinementsResponse:
        """List a page of refinements."""
        asked = await self._asked(request, refinement_message)
        page = await reads.list_refinements(self.vibes.database, wire.refinement_filter(request), asked)
        return pb.ListRefinementsResponse(refinements=page.items, next_page_token=page.next_page_token)

    async def TraceLineage(
        self, request: pb.TraceLineageRequest, context: Context[Any, Any]
    ) -> AsyncIterator[pb.TraceLineageResponse]:
        """Walk the edges."""
        uri, from_ = reference_from(request.reference, "reference"), context_from(request.context)
        walk = wire.walk(request, await self.vibes.as_of(from_))
        (start,) = await self.vibes.find([uri], from_)
        reader = await self._reader()
        yield wire.lineage_start(check_seen(reader, start, uri))
        async with aclosing(lineage.trace(self.vibes.database, start, walk, reader)) as parts:
            async for part in parts:
                yield wire.lineage_part(part, up=walk.up)

    async def WatchVibes(
        self, request: pb.WatchVibesRequest, context: Context[Any, Any]
    ) -> AsyncIterator[pb.WatchVibesResponse]:
        """Send Vibes as they are committed."""
        full = wants_full(request.view, absent=False)
        form = document_form(context.invocation_metadata())
        after = position_from(request.after_position, "after_position")
        filter_, writing = wire.watch_filter(request), wire.WatchWriting(full, form)
        with self.drain.of_stream() as drain:
            async with aclosing(
                watch(self.vibes, self.feed, drain, after, filter_, writing=writing, rights=self.rights)
            ) as answers:
                async for answer in answers:
                    yield answer

    async def CreateBranch(
        self, request: pb.CreateBranchRequest, context: Context[Any, Any]
    ) -> pb.CreateBranchResponse:
        """Create a branch."""
        command = wire.create_branch(request)
        branch, refined = await branches.create_branch(self.refiner, self.vibes, command, caller_of(context))
        return wire.create_branch_response(branch, refined)

    async def ListBranches(
        self, request: pb.ListBranchesRequest, context: Context[Any, Any]
    ) -> pb.ListBranchesResponse:
        """List a page of branches."""
        prefix = prefix_from(request.name_prefix, "name_prefix")
        asked = await self._asked(request, branch_message)
        page = await reads.list_branches(self.vibes.database, prefix, asked)
        return pb.ListBranchesResponse(branches=page.items, next_page_token=page.next_page_token)

    async def GetLedger(
        self, request: pb.GetLedgerRequest, context: Context[Any, Any]
    ) -> pb.GetLedgerResponse:
        """Describe the ledger."""
        return await about(self.vibes.database)

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context[Any, Any]) -> pb.WhoAmIResponse:
        """Say who calls."""
        return await access.who_am_i(self.rights, current_caller())

    async def CheckAccess(
        self, request: pb.CheckAccessRequest, context: Context[Any, Any]
    ) -> pb.CheckAccessResponse:
        """Say who may do what."""
        return await access.check_access(self.vibes, self.rights, request, current_caller())

    async def ListDenials(
        self, request: pb.ListDenialsRequest, context: Context[Any, Any]
    ) -> pb.ListDenialsResponse:
        """List who was refused."""
        return await access.list_denials(self.vibes, self.rights, request, current_caller())


class _PageRequest(Protocol):
    page_size: int
    page_token: str
