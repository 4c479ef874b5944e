"""The RECORD of a schedule: what was asked, and all that its firings are given; at last, that it ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from process_worker.door.commands import ExecuteProcess, Schedule, ScheduleState
from process_worker.door.freeze import Frozen
from process_worker.records import execution as records
from process_worker.records.ledger import Ledger
from process_worker.workflow.keys import end_key
from refinery_client import Draft, Vibe
from refinery_core.errors import ProcessNotExecutable
from refinery_core.vibe import documents
from refinery_core.vibe.model import Refinement, VibeType
from refinery_core.vibe.refs import Ref

FOLDER: Final = records.SCHEDULES_FOLDER
_ENDED: Final = "ended"


def record_id(schedule_id: UUID) -> str:
    """The id of the RECORD of a schedule."""
    return f"{FOLDER}{schedule_id}"


def solution(command: ExecuteProcess, frozen: Frozen) -> dict[str, Any]:
    """
    The content of the RECORD. References stand as they were sent: each firing freezes them anew.

    Raises:
        ProcessNotExecutable: the process has no schedule.
        InvalidField: no result can have the id that they would have.
    """
    times = frozen.process.schedule
    if times is None:
        raise ProcessNotExecutable(ref=frozen.process_ref, problem="it has no schedule; execute it instead")
    records.result_id(command, frozen)  # Refuses the one that each firing would have.
    content = {
        "asked": records.asked(command),
        "process": command.process,
        "process_ref": frozen.process_ref,
        "author_ref": command.author_ref,
        "branch": command.branch,
        "result_id": command.result_id,
        "target_refs": list(command.target_refs),
        "budget_refs": list(command.budget_refs),
        **({"cron": times.cron} if times.cron is not None else {"every_milliseconds": times.every}),
    }
    return records.with_input(content, command.input, record_id(command.request_id))


def schedule(schedule_id: UUID, record: Vibe, refinement: Refinement) -> Schedule:
    """The schedule that a RECORD makes."""
    content = record.solution
    every = content.get("every_milliseconds")
    return Schedule(
        id=schedule_id,
        process=content["process"],
        process_ref=content["process_ref"],
        record_ref=record.ref,
        start_time=refinement.time,
        cron=content.get("cron"),
        every=None if every is None else timedelta(milliseconds=every),
    )


async def firing(ledger: Ledger, record_ref: str, execution_id: UUID) -> ExecuteProcess:
    """What a firing executes; the RECORD of the schedule becomes a target of what comes of it."""
    content = (await ledger.vibe(record_ref)).solution
    input_ref = content.get("input_ref")
    input_ = content["input"] if input_ref is None else (await ledger.vibe(input_ref)).solution
    return ExecuteProcess(
        request_id=execution_id,
        process=content["process"],
        author_ref=content["author_ref"],
        input=documents.from_value(input_),
        target_refs=(*content["target_refs"], record_ref),
        budget_refs=tuple(content["budget_refs"]),
        branch=content["branch"],
        result_id=content["result_id"],
    )


async def end(ledger: Ledger, schedule_id: UUID, record: Vibe, author_ref: str) -> None:
    """Commit the end of a schedule, once, as the second revision of its RECORD."""
    draft = Draft(
        type=VibeType.RECORD,
        id=record.id,
        solution={**record.solution, _ENDED: True},
    )
    await ledger.refine(
        request_id=end_key(schedule_id),
        author_ref=author_ref,
        branch=Ref.parse(record.ref).branch,
        drafts=[draft],
        target_refs=[record.ref],
    )


def ended(made: Schedule, end: Refinement) -> Schedule:
    """A schedule that is over."""
    return replace(made, state=ScheduleState.ENDED, end_time=end.time)
