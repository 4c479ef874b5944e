"""RECORDs of executions and schedules in the ledger: committed once for each request_id, and found again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen, exact_refs, freeze
from process_worker.records.execution import ExecutionRecord
from process_worker.records.ledger import Ledger, answering
from process_worker.records.record import asked, invalid_input
from process_worker.records.schedule import ScheduleRecord
from refinery_client import Draft, Refined
from refinery_core.errors import RequestIdReused, RevisionConflict, SolutionInvalid
from refinery_core.vibe.model import Refinement, VibeType
from refinery_core.vibe.refs import Ref

R = TypeVar("R", ExecutionRecord, ScheduleRecord)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[R]):
    """A RECORD in the ledger. `content` is its solution, with members of newer versions."""

    ref: str
    refinement: Refinement
    content: dict[str, Any]
    record: R


async def find(ledger: Ledger, kind: type[R], id_: UUID) -> Recorded[R] | None:
    """The RECORD that was committed under an id; None where nothing was, or something else."""
    refinement = await ledger.committed(id_)
    if refinement is None:
        return None
    vibe = await ledger.vibe(refinement.vibe_refs[0])
    if vibe.id != kind.id_of(id_):
        return None
    try:
        return Recorded(vibe.ref, refinement, vibe.solution, kind.from_solution(vibe.solution))
    except TypeError:
        return None  # Refined by hand.


async def record(ledger: Ledger, kind: type[R], command: ExecuteProcess) -> tuple[Recorded[R], bool]:
    """
    Commit the RECORD for a request, once for each request_id; True if it had been committed before.

    Raises:
        RequestIdReused: something else was committed under this request_id.
        SolutionInvalid: the input does not satisfy the schema of the process.
    """
    if await ledger.committed(command.request_id) is None:
        frozen = await freeze(ledger, command)
        made = kind.of(command, frozen)
        refined = await _commit(ledger, command, frozen, made)
        if refined is not None and refined.refinement is not None and not refined.replayed:
            return Recorded(refined.vibes[0].ref, refined.refinement, made.to_solution(), made), False
    found = await find(ledger, kind, command.request_id)
    if found is None or found.record.asked != asked(command):
        raise RequestIdReused(request_id=command.request_id)
    return found, True


async def end(ledger: Ledger, recorded: Recorded[R], key: UUID, author_ref: str, **how: Any) -> None:
    """Commit the last revision of a RECORD, unless something else was committed under the key meanwhile."""
    id_, content = Ref.parse(recorded.ref).id, {**recorded.content, **how}
    with suppress(RequestIdReused), answering():
        await ledger.refinery.refine(
            request_id=key,
            author_ref=author_ref or recorded.refinement.author_ref,
            branch=recorded.record.branch,
            drafts=[Draft(type=VibeType.RECORD, id=id_, solution=content)],
            target_refs=[recorded.ref],
            # Without an author of its own it is made in the name of the RECORD's.
            behalf_ref="" if author_ref else recorded.ref,
        )


async def _commit(
    ledger: Ledger, command: ExecuteProcess, frozen: Frozen, made: ExecutionRecord | ScheduleRecord
) -> Refined | None:
    """Commit a RECORD; None where the same request came at once, and was frozen at another moment."""
    id_ = made.id_of(command.request_id)
    try:
        with answering():
            return await ledger.refinery.refine(
                request_id=command.request_id,
                author_ref=frozen.author_ref,
                branch=command.branch,
                drafts=made.drafts(command.input, id_, frozen.input_schema),
                target_refs=(frozen.process_ref, *frozen.target_refs),
                instruction_refs=exact_refs(frozen),
                budget_refs=frozen.budget_refs,
                behalf_ref=command.behalf_ref,
            )
    except SolutionInvalid as refusal:
        raise invalid_input(refusal) from refusal
    except (RequestIdReused, RevisionConflict):
        return None
