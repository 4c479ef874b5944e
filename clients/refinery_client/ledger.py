"""The ledger's calls: the one write, and all reads."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from refinery.vibe.v1 import vibe_pb2
from refinery_client import watch
from refinery_client.access import (
    Access,
    Denial,
    Identity,
    access_from,
    access_request,
    denial_from,
    identity_from,
)
from refinery_client.answers import (
    Answers,
    BranchCreated,
    Change,
    LedgerState,
    LineageDirection,
    LineageStep,
    Refined,
    Vibe,
    ledger_state_from,
    refined_from,
    vibe_from,
    whole_steps,
)
from refinery_client.drafts import Draft, Refine, context_message, extra_seconds
from refinery_client.many import Flow, Outcome
from refinery_client.pages import items_of
from refinery_client.retry import Patience
from refinery_core import wire
from refinery_core.vibe.model import Branch, Context, EdgeType, Refinement, VibeType
from refinery_core.vibe.roles import Verb


class Ledger:
    """
    The calls of the LedgerService, one method each.

    Every method may raise a RefineryError: the refusal of the server, Unreachable or
    DeadlineExceeded. `timeout_seconds` covers all attempts of one request.
    """

    def __init__(self, channel: grpc.aio.Channel, patience: Patience) -> None:
        """Call over a channel; the caller closes it."""
        self._ledger = LedgerServiceStub(channel)
        self._ledger_health = HealthStub(channel)
        self._patience = patience

    async def ledger_is_serving(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the ledger reports that it is serving."""
        request = HealthCheckRequest()
        answer = await self._patience.call(self._ledger_health.Check, request, timeout_seconds)
        return bool(answer.status == HealthCheckResponse.SERVING)

    async def get_ledger(self, *, timeout_seconds: float | None = None) -> LedgerState:
        """Return the id of the ledger, its end, the versions that serve it, and its limits."""
        answer = await self._patience.call(self._ledger.GetLedger, pb.GetLedgerRequest(), timeout_seconds)
        return ledger_state_from(answer)

    async def who_am_i(self, *, timeout_seconds: float | None = None) -> Identity:
        """Say whom the ledger takes this client for, and which Roles it holds."""
        return identity_from(
            await self._patience.call(self._ledger.WhoAmI, pb.WhoAmIRequest(), timeout_seconds)
        )

    async def check_access(
        self,
        verb: Verb,
        id_: str = "",
        *,
        branch: str = "",
        type_: VibeType | None = None,
        principal: str = "",
        groups: Sequence[str] = (),
        author_ref: str = "",
        as_of: int | datetime | None = None,
        refuse: bool = False,
        timeout_seconds: float | None = None,
    ) -> Access:
        """
        Say whether a principal, or else this client, may do something, then or now, and by which rule.

        `verb` is with an id, but for `branch`. Without a type it has to be allowed for all types; without an
        author, as any Role that is held. With `refuse` a refusal is raised where it may not, and is kept as a
        denial.
        """
        request = access_request(
            verb,
            id_,
            branch=branch,
            type_=type_,
            principal=principal,
            groups=groups,
            author_ref=author_ref,
            as_of=as_of,
            refuse=refuse,
        )
        return access_from(await self._patience.call(self._ledger.CheckAccess, request, timeout_seconds))

    async def refine(
        self,
        *,
        author_ref: str,
        drafts: Sequence[Draft],
        request_id: UUID | None = None,
        branch: str = "",
        target_refs: Sequence[str] = (),
        instruction_refs: Sequence[str] = (),
        budget_refs: Sequence[str] = (),
        validate_only: bool = False,
        behalf_ref: str = "",
        timeout_seconds: float | None = None,
    ) -> Refined:
        """
        Commit one to 1,000 Vibes, all or nothing; when this returns they are durable.

        Pass a request_id of your own if you may repeat the request from another process: the same
        request_id with the same content gives the first answer again. The default deadline grows
        with the request.
        """
        refine = Refine(
            author_ref=author_ref,
            drafts=drafts,
            branch=branch,
            target_refs=target_refs,
            instruction_refs=instruction_refs,
            budget_refs=budget_refs,
            validate_only=validate_only,
            behalf_ref=behalf_ref,
            request_id=request_id or uuid.uuid4(),
        )
        message = refine.message()
        if timeout_seconds is None:
            timeout_seconds = self._patience.seconds(None) + extra_seconds(message)
        answer = await self._patience.call(self._ledger.Refine, message, timeout_seconds)
        return refined_from(answer, refine.request_id)

    def refine_many(
        self,
        refines: Iterable[Refine] | AsyncIterable[Refine],
        *,
        in_flight: int = 256,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """
        Commit many refines, each on its own; yield the outcome of each, in no promised order.

        At most `in_flight` are unanswered at a time. After a lost connection it connects again, and
        sends unanswered refines again under the same request_id. `timeout_seconds` limits both the time
        without any answer, and the time for which one refine is retried while the server says UNAVAILABLE.
        """
        return Flow(
            self._ledger, self._patience, in_flight=in_flight, timeout_seconds=timeout_seconds
        ).outcomes(refines)

    async def get_vibe(
        self,
        reference: str | None = None,
        *,
        digest: bytes | None = None,
        context: Context | None = None,
        full: bool = True,
        timeout_seconds: float | None = None,
    ) -> Vibe:
        """Find one Vibe, by a ref or `aug:` reference or else by its digest."""
        request = pb.GetVibeRequest(context=context_message(context), view=_view(full=full))
        if digest is not None:
            request.digest = digest
        if reference is not None:
            request.reference = reference
        return vibe_from((await self._patience.call(self._ledger.GetVibe, request, timeout_seconds)).vibe)

    async def batch_get_vibes(
        self,
        references: Sequence[str],
        *,
        context: Context | None = None,
        full: bool = True,
        timeout_seconds: float | None = None,
    ) -> list[Vibe]:
        """
        Find up to 1,000 Vibes, in the order asked.

        If the answer does not fit into one message, several calls are made; floating references
        are then read at one moment only if the context has an `as_of`.
        """
        found: list[Vibe] = []
        while True:
            request = pb.BatchGetVibesRequest(
                references=references[len(found) :], context=context_message(context), view=_view(full=full)
            )
            answer = await self._patience.call(self._ledger.BatchGetVibes, request, timeout_seconds)
            found.extend(map(vibe_from, answer.vibes))
            if len(found) >= len(references) or not answer.vibes:
                return found

    def list_vibes(
        self,
        *,
        branch: str = "",
        id_prefix: str = "",
        type: VibeType | None = None,  # noqa: A002 -- the contract's word
        author_ref: str = "",
        after_position: int = 0,
        until_position: int = 0,
        latest_only: bool = False,
        full: bool = False,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Vibe]:
        """List Vibes in ledger order. `latest_only` requires a branch; 0 and "" mean no condition."""
        request = pb.ListVibesRequest(
            branch=branch,
            id_prefix=id_prefix,
            type=vibe_pb2.VIBE_TYPE_UNSPECIFIED if type is None else wire.vibe_type_number(type),
            author_ref=author_ref,
            after_position=after_position,
            until_position=until_position,
            latest_only=latest_only,
            view=_view(full=full),
            page_size=page_size,
        )
        return items_of(
            self._patience,
            self._ledger.ListVibes,
            request,
            lambda page: map(vibe_from, page.vibes),
            timeout_seconds=timeout_seconds,
        )

    def list_revisions(
        self,
        id: str,  # noqa: A002 -- the contract's word
        *,
        context: Context | None = None,
        full: bool = False,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Vibe]:
        """List the versions of an id that a context sees, newest first."""
        request = pb.ListRevisionsRequest(
            id=id, context=context_message(context), view=_view(full=full), page_size=page_size
        )
        return items_of(
            self._patience,
            self._ledger.ListRevisions,
            request,
            lambda page: map(vibe_from, page.vibes),
            timeout_seconds=timeout_seconds,
        )

    async def get_refinement(
        self,
        *,
        id: UUID | None = None,  # noqa: A002 -- the contract's word
        request_id: UUID | None = None,
        position: int | None = None,
        vibe_ref: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Refinement:
        """Find one refinement by exactly one of its names. RefinementNotFound: it is not committed."""
        names = {"id": id, "request_id": request_id, "position": position, "vibe_ref": vibe_ref}
        given = {key: name for key, name in names.items() if name is not None}
        if len(given) != 1:
            raise TypeError(f"get_refinement takes exactly one of {', '.join(names)}")
        request = pb.GetRefinementRequest()
        for key, name in given.items():
            setattr(request, key, str(name) if isinstance(name, UUID) else name)
        answer = await self._patience.call(self._ledger.GetRefinement, request, timeout_seconds)
        return wire.refinement_from(answer.refinement)

    def list_refinements(
        self,
        *,
        author_ref: str = "",
        after_position: int = 0,
        until_position: int = 0,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Refinement]:
        """List refinements in ledger order."""
        request = pb.ListRefinementsRequest(
            author_ref=author_ref,
            after_position=after_position,
            until_position=until_position,
            page_size=page_size,
        )
        return items_of(
            self._patience,
            self._ledger.ListRefinements,
            request,
            lambda page: map(wire.refinement_from, page.refinements),
            timeout_seconds=timeout_seconds,
        )

    def trace_lineage(
        self,
        reference: str,
        *,
        context: Context | None = None,
        direction: LineageDirection = LineageDirection.UP,
        edge_types: Sequence[EdgeType] = (),
        max_depth: int = 0,
        max_vibes: int = 0,
        timeout_seconds: float | None = None,
    ) -> Answers[LineageStep]:
        """Walk the edges, nearest first; no edge_types means all. Ask `truncated` at the end."""
        request = pb.TraceLineageRequest(
            reference=reference,
            context=context_message(context),
            direction=pb.LineageDirection.Value(f"LINEAGE_DIRECTION_{direction.name}"),
            edge_types=[wire.edge_type_number(kind) for kind in edge_types],
            max_depth=max_depth,
            max_vibes=max_vibes,
        )
        parts = self._patience.stream(self._ledger.TraceLineage, request, timeout_seconds)
        return Answers(whole_steps(parts))

    def watch(
        self,
        *,
        after_position: int = 0,
        branch: str = "",
        id_prefix: str = "",
        full: bool = False,
        give_up_seconds: float = 60,
    ) -> AsyncGenerator[Change, None]:
        """
        Yield every refinement after a position, in order, none missed and none twice, without end.

        After a lost connection it connects again and resumes after the last refinement. The refusal
        is raised only if no server could be reached for `give_up_seconds`.
        """
        request = pb.WatchVibesRequest(
            after_position=after_position, branch=branch, id_prefix=id_prefix, view=_view(full=full)
        )
        return watch.changes(
            self._ledger.WatchVibes, request, self._patience, give_up_seconds=give_up_seconds
        )

    async def create_branch(
        self,
        name: str,
        *,
        author_ref: str,
        parent: str = "",
        fork: int | datetime | None = None,
        request_id: UUID | None = None,
        timeout_seconds: float | None = None,
    ) -> BranchCreated:
        """Make a branch that starts from the Vibes of its parent at a position or time; None means now."""
        request = pb.CreateBranchRequest(
            request_id=str(request_id or uuid.uuid4()), name=name, author_ref=author_ref, parent=parent
        )
        if isinstance(fork, datetime):
            wire.write_time(request.fork_time, fork)
        elif fork is not None:
            request.fork_position = fork
        answer = await self._patience.call(self._ledger.CreateBranch, request, timeout_seconds)
        return BranchCreated(
            wire.branch_from(answer.branch), wire.refinement_from(answer.refinement), answer.replayed
        )

    def list_branches(
        self, *, name_prefix: str = "", page_size: int = 0, timeout_seconds: float | None = None
    ) -> AsyncIterator[Branch]:
        """List branches by name."""
        request = pb.ListBranchesRequest(name_prefix=name_prefix, page_size=page_size)
        return items_of(
            self._patience,
            self._ledger.ListBranches,
            request,
            lambda page: map(wire.branch_from, page.branches),
            timeout_seconds=timeout_seconds,
        )

    def list_denials(
        self,
        *,
        principal: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Denial]:
        """List the calls that were refused for want of a right, newest first, counted by the minute."""
        request = pb.ListDenialsRequest(principal=principal, page_size=page_size)
        if since is not None:
            wire.write_time(request.since, since)
        if until is not None:
            wire.write_time(request.until, until)
        return items_of(
            self._patience,
            self._ledger.ListDenials,
            request,
            lambda page: map(denial_from, page.denials),
            timeout_seconds=timeout_seconds,
        )


def _view(*, full: bool) -> vibe_pb2.VibeView.ValueType:
    return vibe_pb2.VIBE_VIEW_FULL if full else vibe_pb2.VIBE_VIEW_BASIC
