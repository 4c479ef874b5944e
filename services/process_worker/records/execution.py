"""The RECORD of an execution: the request, its frozen refs, and the argument of the workflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.records.record import Record, asked, result_id
from process_worker.workflow.messages import Start
from refinery_client import ABSENT, Absent
from refinery_core.process.standard_errors import STATUSES, Problem, error_uri
from refinery_core.vibe.model import Refinement
from refinery_core.vibe.refs import EXECUTIONS, Ref


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord(Record):
    """
    The content of the RECORD of an execution, with exact refs.

    `parent_ref` is the RECORD of the execution that runs this one; it has that or `asked`.
    """

    FOLDER: ClassVar[str] = EXECUTIONS
    frozen: dict[str, str]
    parent_ref: str | Absent = ABSENT

    @classmethod
    def of(cls, command: ExecuteProcess, frozen: Frozen) -> Self:
        """
        The content for a request.

        Raises:
            InvalidField: the result would have an id that no result can have.
        """
        record = cls(
            asked=asked(command),
            process_ref=frozen.process_ref,
            author_ref=frozen.author_ref,
            branch=command.branch,
            result_id=result_id(command, frozen),
            target_refs=list(frozen.target_refs),
            budget_refs=list(frozen.budget_refs),
            frozen=frozen.references,
            asked_by=command.asked_by or ABSENT,
        )
        return record.with_input(command.input, cls.id_of(command.request_id))

    def start(self, record_ref: str) -> Start:
        """The argument of the workflow."""
        assert self.result_id is not None
        return Start(
            process_ref=self.process_ref,
            record_ref=record_ref,
            author_ref=self.author_ref,
            branch=self.branch,
            result_id=self.result_id,
            input=None if self.input is ABSENT else self.input,
            input_ref=None if self.input_ref is ABSENT else self.input_ref,
            target_refs=self.target_refs,
            budget_refs=self.budget_refs,
            frozen=self.frozen,
        )


def event_id(execution_id: UUID, event: str) -> str:
    """The id of the RECORD of an event."""
    return f"{ExecutionRecord.id_of(execution_id)}/events/{event}"


def is_termination(end: Refinement) -> bool:
    """Whether an execution was terminated: a result would have been made under its process."""
    return Ref.parse(end.vibe_refs[0]).id.startswith(EXECUTIONS) and not end.instruction_refs


def why_terminated(content: Any) -> Problem | None:
    """The reason of a termination; None where there is none, or the RECORD was refined by hand."""
    match content:
        case {"terminated": {"reason": str(reason)}} if reason:
            return Problem(error_uri("runtime"), STATUSES["runtime"], "Terminated", reason)
    return None
