"""Every refusal of Refinery, as a class with data.

The docstring of a class is its message: the names in braces are the metadata that a
client may rely on. `proto/refinery/vibe/v1/error_reason.proto` is the same catalogue as
part of the contract; a test holds the two together. Nothing here knows gRPC: `serving`
turns a RefineryError into a status, `refinery_client` turns the status back.
"""

from __future__ import annotations

import enum
import string
from dataclasses import dataclass
from typing import ClassVar

from refinery_core.texts import cut


class Code(enum.IntEnum):
    """The gRPC status codes of an error (google.rpc.Code)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a solution does not satisfy its schema; both paths are JSON pointers."""

    instance_path: str
    schema_path: str
    message: str


MAX_METADATA_VALUE = 600
"""Characters of one metadata value; all error details together must stay below 6 KB."""


class RefineryError(Exception):
    """A refusal: a reason, a code, a sentence that a person can act on, and its data."""

    reason: str
    code: Code
    keys: ClassVar[frozenset[str]]

    def __init_subclass__(cls) -> None:
        """Read the metadata keys off the docstring."""
        template = cls.__doc__ or ""
        cls.keys = frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)

    def __init__(self, **metadata: object) -> None:
        """Take exactly the data that the docstring names."""
        if metadata.keys() != self.keys:
            message = f"{type(self).__name__} takes {sorted(self.keys)}, not {sorted(metadata)}"
            raise TypeError(message)
        self.metadata = {key: cut(str(value), MAX_METADATA_VALUE) for key, value in metadata.items()}
        super().__init__((self.__doc__ or "").format_map(self.metadata))

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self.args[0])


# --- The request is not well-formed -------------------------------------------------------


class MalformedRequest(RefineryError):
    """The request is not a readable protobuf message of its type."""

    reason, code = "MALFORMED_REQUEST", Code.INVALID_ARGUMENT


class UnknownMethod(RefineryError):
    """The server has no such service or method; it may be an older release, or another server."""

    reason, code = "UNKNOWN_METHOD", Code.UNIMPLEMENTED


class MessageTooLarge(RefineryError):
    """The message is larger than {limit} bytes; send it in parts."""

    reason, code = "MESSAGE_TOO_LARGE", Code.RESOURCE_EXHAUSTED


class InvalidField(RefineryError):
    """{field}: {problem}."""

    reason, code = "INVALID_FIELD", Code.INVALID_ARGUMENT


class InvalidReference(RefineryError):
    """{field}: '{value}' is not a reference: {problem}."""

    reason, code = "INVALID_REFERENCE", Code.INVALID_ARGUMENT


class InvalidDocument(RefineryError):
    """{field}: the document is refused at {path}: {problem}."""

    reason, code = "INVALID_DOCUMENT", Code.INVALID_ARGUMENT


class InvalidSchema(RefineryError):
    """{field}: the schema is refused at {path}: {problem}."""

    reason, code = "INVALID_SCHEMA", Code.INVALID_ARGUMENT


class InvalidProcess(RefineryError):
    """{field}: the {kind} is refused at {path}: {problem}."""

    reason, code = "INVALID_PROCESS", Code.INVALID_ARGUMENT


class ReservedId(RefineryError):
    """{field}: '{id}' is reserved; ids under 'system/' are written by Refinery itself."""

    reason, code = "RESERVED_ID", Code.INVALID_ARGUMENT


class InvalidPageToken(RefineryError):
    """The page_token does not belong to this list with this filter; start again without it."""

    reason, code = "INVALID_PAGE_TOKEN", Code.INVALID_ARGUMENT


class SolutionInvalid(RefineryError):
    """{field}: the solution does not satisfy its schema in {count} place(s); the first: {first}."""

    reason, code = "SOLUTION_INVALID", Code.INVALID_ARGUMENT

    def __init__(self, *, field: str, violations: tuple[Violation, ...], count: str) -> None:
        """Keep up to 20 violations; `count` is their number, "20+" where there are more."""
        self.violations = violations
        first = violations[0]
        super().__init__(
            field=field, count=count, first=f"{first.instance_path or '(root)'}: {first.message}"
        )


class PositionOutOfRange(RefineryError):
    """{field}: position {position} is outside the ledger, which ends at {last}."""

    reason, code = "POSITION_OUT_OF_RANGE", Code.OUT_OF_RANGE


class Unauthenticated(RefineryError):
    """The caller is not known: {problem}."""

    reason, code = "UNAUTHENTICATED", Code.UNAUTHENTICATED


# --- Not found ----------------------------------------------------------------------------


class VibeNotFound(RefineryError):
    """No Vibe is named '{reference}' in this context."""

    reason, code = "VIBE_NOT_FOUND", Code.NOT_FOUND


class RefinementNotFound(RefineryError):
    """No refinement is named '{name}'."""

    reason, code = "REFINEMENT_NOT_FOUND", Code.NOT_FOUND


class BranchNotFound(RefineryError):
    """No branch is named '{branch}'."""

    reason, code = "BRANCH_NOT_FOUND", Code.NOT_FOUND


class ExecutionNotFound(RefineryError):
    """No execution is named '{id}'."""

    reason, code = "EXECUTION_NOT_FOUND", Code.NOT_FOUND


class ScheduleNotFound(RefineryError):
    """No schedule is named '{id}'."""

    reason, code = "SCHEDULE_NOT_FOUND", Code.NOT_FOUND


# --- The ledger is not in the state that the request needs --------------------------------


class UnknownReference(RefineryError):
    """{field}: '{reference}' does not exist in this context."""

    reason, code = "UNKNOWN_REFERENCE", Code.FAILED_PRECONDITION


class SchemaMissing(RefineryError):
    """'{ref}' has no schema, but one is needed here."""

    reason, code = "SCHEMA_MISSING", Code.FAILED_PRECONDITION


class SolutionMissing(RefineryError):
    """'{ref}' has no solution, but one is needed here."""

    reason, code = "SOLUTION_MISSING", Code.FAILED_PRECONDITION


class TypeFixed(RefineryError):
    """{field}: '{id}' is a {type} since its first revision and cannot become a {asked}."""

    reason, code = "TYPE_FIXED", Code.FAILED_PRECONDITION


class AuthorNotAllowed(RefineryError):
    """author_ref: '{ref}' is a {type}; only a ROLE or a PROCESS can be an author."""

    reason, code = "AUTHOR_NOT_ALLOWED", Code.FAILED_PRECONDITION


class PermissionDenied(RefineryError):
    """'{principal}' may not {verb} '{id}' on '{branch}' as '{role}': {problem}."""

    reason, code = "PERMISSION_DENIED", Code.PERMISSION_DENIED


class RoleSuperseded(RefineryError):
    """author_ref: '{ref}' is not in force; write '{in_force}', the latest on main."""

    reason, code = "ROLE_SUPERSEDED", Code.FAILED_PRECONDITION


class ResolutionTooDeep(RefineryError):
    """{field}: the schema is composed through more than {limit} levels of references."""

    reason, code = "RESOLUTION_TOO_DEEP", Code.FAILED_PRECONDITION


class ResolutionTooLarge(RefineryError):
    """{field}: the resolved schema is larger than {limit} bytes."""

    reason, code = "RESOLUTION_TOO_LARGE", Code.FAILED_PRECONDITION


class RefineTooLarge(RefineryError):
    """{field}: the refine becomes more than {limit} {what}; send it in parts."""

    reason, code = "REFINE_TOO_LARGE", Code.FAILED_PRECONDITION


class BranchTooDeep(RefineryError):
    """{field}: '{branch}' is {levels} branches away from main, the maximum; fork from a nearer one."""

    reason, code = "BRANCH_TOO_DEEP", Code.FAILED_PRECONDITION


class ProcessNotExecutable(RefineryError):
    """'{ref}' cannot be executed: {problem}."""

    reason, code = "PROCESS_NOT_EXECUTABLE", Code.FAILED_PRECONDITION


class ExecutionEnded(RefineryError):
    """The execution '{id}' has ended: it is {state}."""

    reason, code = "EXECUTION_ENDED", Code.FAILED_PRECONDITION


class ExecutionForgotten(RefineryError):
    """The execution '{id}' ('{record_ref}') has no result, and Temporal has forgotten it; start a new one."""

    reason, code = "EXECUTION_FORGOTTEN", Code.FAILED_PRECONDITION


class ExecutionLost(RefineryError):
    """Temporal does not know the execution '{id}' ('{record_ref}'); send the same ExecuteProcess again."""

    reason, code = "EXECUTION_LOST", Code.FAILED_PRECONDITION


class AnotherLedger(RefineryError):
    """The call is for the ledger '{meant}', but this is '{ledger}'; connect again if you mean this one."""

    reason, code = "ANOTHER_LEDGER", Code.FAILED_PRECONDITION


class TooManyEvents(RefineryError):
    """The execution '{id}' takes no more events; this one was not delivered."""

    reason, code = "TOO_MANY_EVENTS", Code.FAILED_PRECONDITION


class ScheduleEnded(RefineryError):
    """The schedule '{id}' has ended; create a new one."""

    reason, code = "SCHEDULE_ENDED", Code.FAILED_PRECONDITION


class BranchExists(RefineryError):
    """The branch '{branch}' exists already."""

    reason, code = "BRANCH_EXISTS", Code.ALREADY_EXISTS


class RequestIdReused(RefineryError):
    """The request_id {request_id} was committed with other content; choose a new one."""

    reason, code = "REQUEST_ID_REUSED", Code.ALREADY_EXISTS


class RevisionConflict(RefineryError):
    """{field}: '{id}' is at revision {current}, not {expected}; read it again and decide again."""

    reason, code = "REVISION_CONFLICT", Code.ABORTED


# --- Not now ------------------------------------------------------------------------------


class Contention(RefineryError):
    """The Vibes that this refine refers to changed {attempts} times meanwhile; send the same again."""

    reason, code = "CONTENTION", Code.UNAVAILABLE


class OutcomeUnknown(RefineryError):
    """The connection was lost during COMMIT; send the same again with the same request_id."""

    reason, code = "OUTCOME_UNKNOWN", Code.UNAVAILABLE


class DatabaseUnavailable(RefineryError):
    """The database cannot be reached now; nothing was written; send the same again."""

    reason, code = "DATABASE_UNAVAILABLE", Code.UNAVAILABLE


class ReadOnly(RefineryError):
    """The server's database takes no writes now; nothing was written; send the same to another server."""

    reason, code = "READ_ONLY", Code.UNAVAILABLE


class LedgerUnavailable(RefineryError):
    """The ledger cannot be reached now ({problem}); send the same again."""

    reason, code = "LEDGER_UNAVAILABLE", Code.UNAVAILABLE


class TemporalUnavailable(RefineryError):
    """Temporal cannot be reached now ({problem}); send the same again."""

    reason, code = "TEMPORAL_UNAVAILABLE", Code.UNAVAILABLE


class Draining(RefineryError):
    """The server is shutting down, or the stream has reached its maximum age; send the same again."""

    reason, code = "DRAINING", Code.UNAVAILABLE


class Overloaded(RefineryError):
    """The server is at its limit ({bound}); try again later."""

    reason, code = "OVERLOADED", Code.RESOURCE_EXHAUSTED

    def __init__(self, *, bound: str = "in all") -> None:
        """Name the bound that was reached, where it is known."""
        super().__init__(bound=bound)


class StorageFull(RefineryError):
    """The database has no room left; nothing was written."""

    reason, code = "STORAGE_FULL", Code.RESOURCE_EXHAUSTED


class AnswerTooLarge(RefineryError):
    """The answer would be {bytes} bytes, more than a message can hold; ask for less."""

    reason, code = "ANSWER_TOO_LARGE", Code.RESOURCE_EXHAUSTED


class QuestionTooLarge(RefineryError):
    """The query takes too long; ask for less: fewer Vibes, a branch, a prefix, direct edges only."""

    reason, code = "QUESTION_TOO_LARGE", Code.RESOURCE_EXHAUSTED


class DataCorrupted(RefineryError):
    """The database reports damaged data; an operator has to look at it."""

    reason, code = "DATA_CORRUPTED", Code.DATA_LOSS


class InternalError(RefineryError):
    """Internal error; the server's log has the details under {incident}."""

    reason, code = "INTERNAL", Code.INTERNAL


CATALOGUE: dict[str, type[RefineryError]] = {error.reason: error for error in RefineryError.__subclasses__()}
"""Every refusal by its reason."""
