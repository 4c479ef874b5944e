"""Between protobuf and the ledger's commands. Each field of a request is read here, strictly, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ledger_service.branches import FOLDER, CreateBranch
from ledger_service.commands import Authority, Draft, Refine, Refined, request_digest
from ledger_service.lineage import DEFAULT_VIBES, MAX_DEPTH, MAX_VIBES, Part, Walk
from ledger_service.reads import RefinementFilter, RefinementName, Revisions, VibeFilter
from ledger_service.watch import WatchFilter
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core import wire
from refinery_core.errors import InvalidField, RefineryError, SolutionInvalid
from refinery_core.fields import (
    bounded_from,
    branch_from,
    check_line,
    context_from,
    id_from,
    own_id_from,
    position_from,
    prefix_from,
    ref_from,
    reference_from,
    references_from,
)
from refinery_core.pages import ANSWER_BYTES, Room
from refinery_core.serving.principal import current_caller
from refinery_core.vibe.model import Branch, EdgeType, Refinement, Vibe, VibeType
from refinery_core.wire import DocumentForm

MAX_DRAFTS = 1_000
MAX_DRAFTS_TIMES_INPUTS = 10_000
MAX_BRANCHES = 16
REFINEMENT_BYTES = 1 << 20
"""The room of a refinement in an answer that has to be cut; its Vibes get the rest."""
REFUSAL_BYTES = 256 << 10
"""The room of violations in one answer of a stream: a path can be as long as a key of the document."""
FRAME_BYTES = 8
"""The most bytes that a message takes around each of its parts."""

_VIBE_TYPES = {kind.value: wire.vibe_type_number(kind) for kind in VibeType}
_EDGE_TYPES = {kind.value: wire.edge_type_number(kind) for kind in EdgeType}
"""The contract's numbers of the types as stored."""


# --- Refine -------------------------------------------------------------------------------


def refine_command(request: pb.RefineRequest) -> Refine:
    """Read a refine; raise the refusal that names the first field at fault."""
    request_id = wire.uuid_from(request.request_id, "request_id")
    branch = branch_from(request.branch, "branch")
    author = reference_from(request.author_ref, "author_ref")
    inputs = (
        references_from(request.target_refs, "target_refs"),
        references_from(request.instruction_refs, "instruction_refs"),
        references_from(request.budget_refs, "budget_refs"),
    )
    if not 1 <= len(request.drafts) <= MAX_DRAFTS:
        raise InvalidField(field="drafts", problem=f"takes 1 to {MAX_DRAFTS}, not {len(request.drafts)}")
    behalf = ref_from(request.behalf_ref, "behalf_ref")
    edges = len(request.drafts) * sum(len(uris) for uris in inputs)
    if edges > MAX_DRAFTS_TIMES_INPUTS:
        raise InvalidField(
            field="drafts", problem=f"times inputs is {edges}, more than {MAX_DRAFTS_TIMES_INPUTS}"
        )
    drafts = tuple(_draft(draft, branch, f"drafts[{index}]") for index, draft in enumerate(request.drafts))
    return Refine(
        request_id=request_id,
        digest=request_digest(branch, author, inputs, drafts),
        principal=current_caller().principal,
        branch=branch,
        author=author,
        targets=inputs[0],
        instructions=inputs[1],
        budgets=inputs[2],
        drafts=drafts,
        validate_only=request.validate_only,
        authority=_authority(behalf),
    )


def _authority(behalf: str = "") -> Authority | None:
    """The right by which the caller writes; None while authentication is off."""
    caller = current_caller()
    if not caller.authenticated:
        return None
    return Authority((caller.principal, *caller.groups), behalf or None, caller.reads_as)


def _draft(draft: pb.Draft, branch: str, field: str) -> Draft:
    expected = draft.expected_revision if draft.HasField("expected_revision") else None
    if expected is not None and expected < 0:
        raise InvalidField(field=f"{field}.expected_revision", problem="is negative")
    prototype = draft.prototype_ref if draft.HasField("prototype_ref") else None
    id_ = own_id_from(draft.id, f"{field}.id")
    branches = _branches(draft.branches, f"{field}.branches") or (branch,)
    for name in branches:
        check_line(name, id_, f"{field}.id")
    return Draft(
        type=wire.vibe_type_from(draft.type, f"{field}.type"),
        id=id_,
        branches=branches,
        expected_revision=expected,
        prototype=None if prototype is None else reference_from(prototype, f"{field}.prototype_ref"),
        repin=draft.repin,
        context=wire.document_from(draft.context, f"{field}.context") if draft.HasField("context") else None,
        schema=wire.document_from(draft.schema, f"{field}.schema") if draft.HasField("schema") else None,
        solution=wire.document_from(draft.solution, f"{field}.solution")
        if draft.HasField("solution")
        else None,
    )


def _branches(names: Iterable[str], field: str) -> tuple[str, ...]:
    branches = tuple(
        branch_from(name, f"{field}[{index}]", required=True) for index, name in enumerate(names)
    )
    if len(branches) > MAX_BRANCHES:
        raise InvalidField(field=field, problem=f"takes at most {MAX_BRANCHES}, not {len(branches)}")
    if len(set(branches)) < len(branches):
        raise InvalidField(field=field, problem="names a branch twice")
    return branches


def refine_response(refined: Refined) -> pb.RefineResponse:
    """Write a committed refine, cut to what fits into a message."""
    refinement = wire.refinement_message(refined.refinement)
    vibes = [wire.vibe_message(vibe, full=False) for vibe in refined.vibes]
    message = pb.RefineResponse(refinement=refinement, vibes=vibes, replayed=refined.replayed)
    if message.ByteSize() <= ANSWER_BYTES:
        return message
    refinement = wire.refinement_message(refined.refinement, room=REFINEMENT_BYTES)
    room = Room(ANSWER_BYTES - refinement.ByteSize())
    vibes = [*takewhile(lambda vibe: room.takes(vibe.ByteSize() + FRAME_BYTES), vibes)]
    truncated = len(vibes) < len(refined.vibes)
    return pb.RefineResponse(
        refinement=refinement, vibes=vibes, replayed=refined.replayed, truncated=truncated
    )


def refusal_message(refusal: RefineryError) -> pb.Refusal:
    """Write the refusal of one request of a stream, which goes on."""
    told = refusal.violations if isinstance(refusal, SolutionInvalid) else ()
    return pb.Refusal(
        code=refusal.code,
        reason=refusal.reason,
        message=refusal.message,
        metadata=refusal.metadata,
        violations=wire.fitting_violations(told, REFUSAL_BYTES),
    )


# --- Questions ----------------------------------------------------------------------------


def vibe_filter(request: pb.ListVibesRequest) -> VibeFilter:
    """Read a filter of Vibes."""
    if request.latest_only and not request.branch:
        raise InvalidField(field="latest_only", problem="needs branch")
    if request.latest_only and request.author_ref:
        raise InvalidField(field="latest_only", problem="may not be combined with author_ref")
    return VibeFilter(
        branch=branch_from(request.branch, "branch") if request.branch else "",
        id_prefix=prefix_from(request.id_prefix, "id_prefix"),
        type=wire.vibe_type_from(request.type, "type") if request.type else None,
        author_ref=ref_from(request.author_ref, "author_ref"),
        after=position_from(request.after_position, "after_position"),
        until=position_from(request.until_position, "until_position"),
        latest_only=request.latest_only,
    )


def refinement_filter(request: pb.ListRefinementsRequest) -> RefinementFilter:
    """Read a filter of refinements."""
    return RefinementFilter(
        author_ref=ref_from(request.author_ref, "author_ref"),
        after=position_from(request.after_position, "after_position"),
        until=position_from(request.until_position, "until_position"),
    )


def refinement_name(request: pb.GetRefinementRequest) -> RefinementName:
    """Read the name of a refinement."""
    name = request.WhichOneof("name")
    if name in {"id", "request_id"}:
        return name, wire.uuid_from(getattr(request, name), name)
    if name == "position":
        return name, position_from(request.position, name)
    if name == "vibe_ref":
        if not request.vibe_ref:
            raise InvalidField(field="vibe_ref", problem="is required")
        return "vibe", ref_from(request.vibe_ref, name)
    raise InvalidField(field="id", problem="is required, or one of the other names")


def revisions(request: pb.ListRevisionsRequest) -> Revisions:
    """Read an id whose versions to list."""
    return Revisions(id_from(request.id, "id"), context_from(request.context))


def walk(request: pb.TraceLineageRequest, as_of: int) -> Walk:
    """Read a walk."""
    if request.direction not in (0, pb.LINEAGE_DIRECTION_UP, pb.LINEAGE_DIRECTION_DOWN):
        raise InvalidField(field="direction", problem=f"{request.direction} is not a direction")
    types = tuple(
        wire.edge_type_from(number, f"edge_types[{index}]") for index, number in enumerate(request.edge_types)
    )
    return Walk(
        up=request.direction != pb.LINEAGE_DIRECTION_DOWN,
        types=tuple(dict.fromkeys(types)) or tuple(EdgeType),
        max_depth=bounded_from(request.max_depth, MAX_DEPTH, MAX_DEPTH, "max_depth"),
        max_vibes=bounded_from(request.max_vibes, DEFAULT_VIBES, MAX_VIBES, "max_vibes"),
        as_of=as_of,
    )


def lineage_start(start: Vibe) -> pb.TraceLineageResponse:
    """Write the start of a walk."""
    step = pb.LineageStep(ref=start.ref, type=wire.vibe_type_number(start.type), position=start.position)
    return pb.TraceLineageResponse(steps=[step])


def lineage_part(part: Part, *, up: bool) -> pb.TraceLineageResponse:
    """Write a part of a walk. Field by field: handing over keywords and lists takes three times as long."""
    message, last = pb.TraceLineageResponse(truncated=part.truncated), None
    for near, far, kind, far_type, position, _ in part.edges:
        hidden = part.hidden.get(far) if part.hidden else None
        if far != last:
            step, last = message.steps.add(), far
            step.depth = part.depth
            if hidden is None:
                step.ref, step.type, step.position = far, _VIBE_TYPES[far_type], position
            else:
                step.hidden, step.digest = True, hidden
        edge = step.edges.add()
        there = far if hidden is None else ""
        edge.from_ref, edge.to_ref = (near, there) if up else (there, near)
        edge.type = _EDGE_TYPES[kind]
    return message


def watch_filter(request: pb.WatchVibesRequest) -> WatchFilter:
    """Read the filter of a watch."""
    return WatchFilter(
        branch=branch_from(request.branch, "branch") if request.branch else "",
        id_prefix=prefix_from(request.id_prefix, "id_prefix"),
    )


@dataclass(frozen=True, slots=True)
class WatchWriting:
    """Writes the answers of a watch."""

    full: bool
    form: DocumentForm

    def vibe(self, vibe: Vibe) -> vibe_pb2.Vibe:
        """Write a Vibe."""
        return wire.vibe_message(vibe, full=self.full, form=self.form)

    def news(
        self, position: int, refinement: Refinement | None, vibes: Sequence[vibe_pb2.Vibe]
    ) -> pb.WatchVibesResponse:
        """Write the last position of the watch, and its Vibes there, which have room before its lists."""
        message = pb.WatchVibesResponse(position=position, vibes=vibes)
        if refinement is not None:
            room = ANSWER_BYTES - message.ByteSize()
            message.refinement.CopyFrom(wire.refinement_message(refinement, room=room))
        return message


# --- Branches -----------------------------------------------------------------------------


def create_branch(request: pb.CreateBranchRequest) -> CreateBranch:
    """Read a branch to be."""
    fork = request.WhichOneof("fork")
    name = branch_from(request.name, "name", required=True)
    check_line("main", FOLDER + name, "name")
    return CreateBranch(
        request_id=wire.uuid_from(request.request_id, "request_id"),
        principal=current_caller().principal,
        authority=_authority(),
        name=name,
        author=reference_from(request.author_ref, "author_ref"),
        parent=branch_from(request.parent, "parent"),
        fork=None
        if fork is None
        else wire.time_from(request.fork_time, "fork_time")
        if fork == "fork_time"
        else position_from(request.fork_position, "fork_position"),
    )


def create_branch_response(branch: Branch, refined: Refined) -> pb.CreateBranchResponse:
    """Write a branch."""
    return pb.CreateBranchResponse(
        branch=wire.branch_message(branch),
        refinement=wire.refinement_message(refined.refinement),
        replayed=refined.replayed,
    )
