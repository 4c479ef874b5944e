"""The members that the RECORDs of executions and schedules share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from types import UnionType
from typing import Any, ClassVar, Final, Self, get_args, get_origin, get_type_hints
from uuid import UUID

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.workflow.messages import MAX_INLINE_BYTES
from refinery_client import ABSENT, Absent, Draft, JsonText
from refinery_core.errors import InvalidField, SolutionInvalid
from refinery_core.fields import check_line
from refinery_core.vibe import documents
from refinery_core.vibe.documents import Document, DocumentFault
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import EXECUTIONS, SCHEDULES, Ref

_HOLDING: Final = "drafts[0].solution"
"""The field of a RECORD that holds its input, in the refusal of a refine."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """
    The content of a RECORD: the request, and its execution or schedule. ABSENT members are left out.

    A large input is a RECORD of its own, `input_ref`, and `input` is ABSENT. `asked_by` is the principal that
    asked; ABSENT where nobody was authenticated.
    """

    FOLDER: ClassVar[str]
    TYPES: ClassVar[dict[str, Any]]
    asked: dict[str, Any] | Absent = ABSENT
    process_ref: str
    author_ref: str
    branch: str
    result_id: str | None
    target_refs: list[str]
    budget_refs: list[str]
    input: Any = ABSENT
    input_ref: str | Absent = ABSENT
    asked_by: str | Absent = ABSENT

    def __init_subclass__(cls) -> None:
        cls.TYPES = get_type_hints(cls)

    @classmethod
    def id_of(cls, id_: UUID) -> str:
        """The id of the RECORD of an execution or a schedule."""
        return f"{cls.FOLDER}{id_}"

    @classmethod
    def uuid_in(cls, ref: str) -> UUID:
        """
        The id of the execution or schedule whose RECORD this is.

        Raises:
            ValueError: it is the ref of something else.
        """
        return UUID(Ref.parse(ref).id.removeprefix(cls.FOLDER))

    def to_solution(self) -> dict[str, Any]:
        """Write the content."""
        members = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: member for name, member in members.items() if member is not ABSENT}

    @classmethod
    def from_solution(cls, solution: Any) -> Self:
        """
        Read the content; members that this version does not know are left out.

        Raises:
            TypeError: the service did not write it; it was refined by hand.
        """
        if not isinstance(solution, dict):
            raise TypeError
        members = {each.name: solution[each.name] for each in fields(cls) if each.name in solution}
        if not all(_is_of(cls.TYPES[name], member) for name, member in members.items()):
            raise TypeError
        return cls(**members)

    def with_input(self, input_: Document, id_: str) -> Self:
        """Add the input, or the ref of the RECORD beside this one that will hold it."""
        inline = replace(self, input=input_.value)
        if len(input_.text.encode()) <= MAX_INLINE_BYTES and _can_be_kept(inline.to_solution()):
            return inline
        # The refine expects this id to be new: its first revision is the one that it makes.
        return replace(self, input_ref=str(Ref(self.branch, _input_id(id_), 1)))

    def drafts(self, input_: Document, id_: str, input_schema: Any = None) -> list[Draft]:
        """The drafts of the RECORD and of a large input; the ledger checks the input by its schema."""
        schema = ABSENT if input_schema is None else input_schema
        if self.input_ref is not ABSENT:
            apart = JsonText(documents.sendable(input_.text))
            return [_draft(id_, self.to_solution()), _draft(_input_id(id_), apart, schema)]
        if schema is not ABSENT:
            schema = {"properties": {"input": schema}}
        return [_draft(id_, self.to_solution(), schema)]


def asked(command: ExecuteProcess) -> dict[str, Any]:
    """
    The members that make two requests the same, as they were sent.

    Defaults are left out: a member that is added one day makes no retry another request.
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
        InvalidField: its refs would be too long, or it may be the id of a RECORD of the service.
    """
    check_line(branch, id_, "result_id")
    check_folder(id_, "result_id")


def check_folder(id_: str, field: str) -> None:
    """
    Refuse an id under which the service records executions and schedules.

    Raises:
        InvalidField: it is one of those.
    """
    for folder in (EXECUTIONS, SCHEDULES):
        if id_.startswith(folder):
            problem = f"is under '{folder}', where executions and schedules are recorded, and nothing else"
            raise InvalidField(field=field, problem=problem)


def invalid_input(refusal: SolutionInvalid) -> SolutionInvalid:
    """The refusal of an input, from that of the RECORD that would have held it."""
    holds = refusal.metadata["field"] == _HOLDING
    violations = tuple(
        replace(each, instance_path=each.instance_path.removeprefix("/input")) if holds else each
        for each in refusal.violations
    )
    return SolutionInvalid(field="input", violations=violations, count=refusal.metadata["count"])


def _is_of(type_: Any, member: Any) -> bool:
    if isinstance(type_, UnionType):
        return any(_is_of(each, member) for each in get_args(type_))
    return type_ is Any or isinstance(member, get_origin(type_) or type_)


def _input_id(record: str) -> str:
    return f"{record}/input"


def _draft(id_: str, content: Any, schema: Any = ABSENT) -> Draft:
    return Draft(type=VibeType.RECORD, id=id_, expected_revision=0, schema=schema, solution=content)


def _can_be_kept(content: dict[str, Any]) -> bool:
    """Whether the content is not too deep with the input in it."""
    try:
        documents.from_value(content)
    except DocumentFault:
        return False
    return True
