"""The RECORD that starts an execution: what was asked, what it meant, and all that the workflow is given."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.engine.contract import Problem
from process_worker.workflow.messages import MAX_INLINE_BYTES, Start
from refinery_client import ABSENT, Draft, JsonText
from refinery_core.errors import InvalidField, SolutionInvalid
from refinery_core.fields import check_line
from refinery_core.process.standard_errors import STATUSES, error_uri
from refinery_core.vibe import documents
from refinery_core.vibe.documents import Document, DocumentFault
from refinery_core.vibe.model import Refinement, VibeType
from refinery_core.vibe.refs import Ref

FOLDER: Final = "executions/"
SCHEDULES_FOLDER: Final = "schedules/"
_HOLDING: Final = "drafts[0].solution"
"""The RECORD of an execution, which holds its input unless that stands apart."""


def record_id(execution_id: UUID) -> str:
    """The id of the RECORD of an execution."""
    return f"{FOLDER}{execution_id}"


def execution_id(record_ref: str) -> UUID:
    """
    The execution that a RECORD starts.

    Raises:
        ValueError: it is no RECORD of an execution.
    """
    return UUID(Ref.parse(record_ref).id.removeprefix(FOLDER))


def event_id(execution_id: UUID, event: str) -> str:
    """The id of the RECORD of an event."""
    return f"{record_id(execution_id)}/events/{event}"


def result_id(command: ExecuteProcess, frozen: Frozen) -> str:
    """
    The id of the result.

    Raises:
        InvalidField: no result can have it.
    """
    id_ = command.result_id or f"{Ref.parse(frozen.process_ref).id}/results/{command.request_id}"
    check_result_id(command.branch, id_)
    return id_


def check_result_id(branch: str, id_: str) -> None:
    """
    Refuse an id that no result can have.

    Raises:
        InvalidField: nobody could refer to it, or it may be the place of a RECORD.
    """
    check_line(branch, id_, "result_id")
    for folder in (FOLDER, SCHEDULES_FOLDER):
        if id_.startswith(folder):
            problem = f"is under '{folder}', where executions and schedules are recorded, and nothing else"
            raise InvalidField(field="result_id", problem=problem)


def asked(command: ExecuteProcess) -> dict[str, Any]:
    """
    What makes two requests the same: everything, as it was sent.

    What stands at its default is left out: a member that is added one day makes no retry another request.
    """
    members = {
        "process": command.process,
        "author_ref": command.author_ref,
        "target_refs": list(command.target_refs),
        "budget_refs": list(command.budget_refs),
        "branch": "" if command.branch == "main" else command.branch,
        "result_id": command.result_id,
        "input_digest": hashlib.sha256(command.input.text.encode()).hexdigest(),
    }
    return {name: value for name, value in members.items() if value}


def solution(command: ExecuteProcess, frozen: Frozen) -> dict[str, Any]:
    """The content of the RECORD; a large input is a RECORD of its own beside it."""
    content = {
        "asked": asked(command),
        "process_ref": frozen.process_ref,
        "author_ref": frozen.author_ref,
        "branch": command.branch,
        "result_id": result_id(command, frozen),
        "target_refs": list(frozen.target_refs),
        "budget_refs": list(frozen.budget_refs),
        "frozen": frozen.references,
    }
    return with_input(content, command.input, record_id(command.request_id))


def with_input(content: dict[str, Any], input_: Document, record: str) -> dict[str, Any]:
    """Add the input to the content of a RECORD, or the ref of a RECORD that it is to be."""
    inline = {**content, "input": input_.value}
    if _fits(input_) and _can_be_kept(inline):
        return inline
    # Nobody has written this id before, or the refine is refused: so its first revision is ours.
    return {**content, "input_ref": str(Ref(content["branch"], _input_id(record), 1))}


def drafts(input_: Document, content: dict[str, Any], record: str, input_schema: Any = None) -> list[Draft]:
    """The RECORD to be, with the one of its input if that stands apart; the ledger enforces its schema."""
    schema = ABSENT if input_schema is None else input_schema
    if "input_ref" in content:
        apart = JsonText(documents.sendable(input_.text))
        return [_draft(record, content), _draft(_input_id(record), apart, schema)]
    if schema is not ABSENT:
        schema = {"properties": {"input": schema}}
    return [_draft(record, content, schema)]


def invalid_input(refusal: SolutionInvalid) -> SolutionInvalid:
    """The refusal of an input, from that of the RECORD that was to hold it, or to be it."""
    holds = refusal.metadata["field"] == _HOLDING
    violations = tuple(
        replace(each, instance_path=each.instance_path.removeprefix("/input")) if holds else each
        for each in refusal.violations
    )
    return SolutionInvalid(field="input", violations=violations, count=refusal.metadata["count"])


def terminated(execution_id: UUID, content: dict[str, Any], reason: str) -> Draft:
    """The last revision of the RECORD of an execution that was stopped."""
    solution = {**content, "terminated": {"reason": reason}}
    return Draft(type=VibeType.RECORD, id=record_id(execution_id), solution=solution)


def is_termination(end: Refinement) -> bool:
    """Whether an execution was stopped, and has no result: that would have been made under its process."""
    return Ref.parse(end.vibe_refs[0]).id.startswith(FOLDER) and not end.instruction_refs


def why_terminated(content: Any) -> Problem | None:
    """Why an execution was stopped; None where nobody said so, or the RECORD was refined by hand."""
    match content:
        case {"terminated": {"reason": str(reason)}} if reason:
            return Problem(error_uri("runtime"), STATUSES["runtime"], "Terminated", reason)
    return None


def start(record_ref: str, content: dict[str, Any]) -> Start:
    """What the workflow is given, from the RECORD alone."""
    return Start(
        process_ref=content["process_ref"],
        record_ref=record_ref,
        author_ref=content["author_ref"],
        branch=content["branch"],
        result_id=content["result_id"],
        input=content.get("input"),
        input_ref=content.get("input_ref"),
        target_refs=content["target_refs"],
        budget_refs=content["budget_refs"],
        frozen=content["frozen"],
    )


def _input_id(record: str) -> str:
    return f"{record}/input"


def _draft(id_: str, content: Any, schema: Any = ABSENT) -> Draft:
    return Draft(type=VibeType.RECORD, id=id_, expected_revision=0, schema=schema, solution=content)


def _fits(document: Document) -> bool:
    return len(document.text.encode()) <= MAX_INLINE_BYTES


def _can_be_kept(content: dict[str, Any]) -> bool:
    """Whether the input is not so deep that one level more is too many."""
    try:
        documents.from_value(content)
    except DocumentFault:
        return False
    return True
