"""Executions in Temporal: starts, queries, updates and lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from process_worker.door.commands import ExecutionFilter
from process_worker.engine.contract import Delivery
from process_worker.temporal.codec import CannotDecode
from process_worker.temporal.connect import prepare
from process_worker.workflow.keys import execution_of, workflow_id
from process_worker.workflow.messages import (
    DELIVER,
    PROCESS_KEY,
    PROGRESS,
    RECORD_MEMO,
    START_MEMO,
    TASK_QUEUE,
    WORKFLOW,
    WORKFLOW_ID_PREFIX,
    Progress,
    ProgressAsked,
    Result,
    Start,
)
from refinery_client import Execution, ExecutionState
from refinery_core.errors import InvalidPageToken, TemporalUnavailable, TooManyEvents
from refinery_core.process.standard_errors import STATUSES, Problem, error_uri

T = TypeVar("T")

RPC: Final = timedelta(seconds=5)
_PAUSE_SECONDS: Final = 1.0
_NONE_AFTER: Final = 1 << 53
"""A number that no event has."""
_AWAY: Final = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,  # The client's code for its own timeout.
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.FAILED_PRECONDITION,  # The workflow's task fails: it answers no query until that is mended.
}
_STATES: Final = {
    WorkflowExecutionStatus.RUNNING: ExecutionState.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: ExecutionState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: ExecutionState.COMPLETED,
    WorkflowExecutionStatus.FAILED: ExecutionState.FAULTED,
    WorkflowExecutionStatus.TIMED_OUT: ExecutionState.FAULTED,
    WorkflowExecutionStatus.CANCELED: ExecutionState.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: ExecutionState.TERMINATED,
}
_STATUSES: Final = {
    None: "ExecutionStatus != 'ContinuedAsNew'",
    ExecutionState.RUNNING: "ExecutionStatus = 'Running'",
    ExecutionState.COMPLETED: "ExecutionStatus = 'Completed'",
    ExecutionState.FAULTED: "ExecutionStatus IN ('Failed', 'TimedOut')",
    ExecutionState.CANCELLED: "ExecutionStatus = 'Canceled'",
    ExecutionState.TERMINATED: "ExecutionStatus = 'Terminated'",
}


class Undecoded(TemporalUnavailable):
    """A payload cannot be decrypted now ({problem}); send the same again."""


@dataclass(frozen=True)
class Temporal:
    """Executions in Temporal. Every call may raise TemporalUnavailable."""

    client: Client

    async def is_ready(self) -> bool:
        """Whether Temporal answers; if it lost its namespace's search attribute, that is made again."""
        await prepare(self.client)
        return True

    async def remembers_for(self) -> timedelta:
        """The time for which Temporal remembers an execution that has ended."""
        with answering():
            answer = await self.client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self.client.namespace), timeout=RPC
            )
        retention: Duration = answer.config.workflow_execution_retention_ttl
        return retention.ToTimedelta()

    async def start(self, execution_id: UUID, start: Start, start_time: datetime) -> None:
        """Start an execution, unless it was started before."""
        try:
            with answering():
                await self.client.start_workflow(
                    WORKFLOW,
                    start,
                    id=workflow_id(execution_id),
                    task_queue=TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    search_attributes=TypedSearchAttributes(
                        [SearchAttributePair(PROCESS_KEY, start.process_ref)]
                    ),
                    memo={RECORD_MEMO: start.record_ref, START_MEMO: start_time.isoformat()},
                    static_summary=start.process_ref,
                    rpc_timeout=RPC,
                )
        except WorkflowAlreadyStartedError:
            return  # It has ended.

    async def find(self, execution_id: UUID) -> Execution | None:
        """An execution without its tasks; None where Temporal does not know it."""
        found = await known(self._handle(execution_id).describe(rpc_timeout=RPC))
        return None if found is None else await self.with_outcome(await _execution(found))

    async def with_outcome(self, execution: Execution) -> Execution | None:
        """Add the outcome of an execution that has ended; None where Temporal has forgotten it meanwhile."""
        if execution.state not in {ExecutionState.COMPLETED, ExecutionState.FAULTED}:
            return execution
        try:
            result = await known(self._handle(execution.id).result(rpc_timeout=RPC))
        except WorkflowFailureError as failure:
            return replace(execution, problem=_problem(failure.cause))
        except Undecoded as lost:
            # The ledger has results; the problem of a fault is lost with its key.
            faulted = execution.state is ExecutionState.FAULTED
            problem = Problem(error_uri("runtime"), STATUSES["runtime"], lost.message) if faulted else None
            return replace(execution, problem=problem)
        return None if result is None else replace(execution, result_ref=result.result_ref)

    async def progress(self, execution_id: UUID, after_number: int) -> Progress:
        """The progress of an execution, and its events after a number; empty where it is forgotten."""
        progress = page = await self._progress(execution_id, after_number)
        while page.events and page.events[-1].number < progress.last_number:
            page = await self._progress(execution_id, page.events[-1].number)
            progress.events.extend(page.events)
        return progress

    async def _progress(self, execution_id: UUID, after_number: int) -> Progress:
        """The progress, with as many events as fit in an answer."""
        asked = ProgressAsked(after_number)
        query = self._handle(execution_id).query(PROGRESS, asked, result_type=Progress, rpc_timeout=RPC)
        return await known(query) or Progress(state="")

    async def ended(self, execution_id: UUID) -> None:
        """Wait until an execution has ended, or Temporal does not know it."""
        while True:
            try:
                await self._handle(execution_id).result()
            except (WorkflowFailureError, CannotDecode):
                return
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)  # Any error: no answer is no end.
            else:
                return

    async def deliver(self, execution_id: UUID, delivery: Delivery, request_id: UUID) -> bool:
        """
        Deliver an event; False where the execution has ended.

        Raises:
            TooManyEvents: it takes no more.
        """
        update = self._handle(execution_id).execute_update(
            DELIVER, delivery, id=str(request_id), result_type=bool, rpc_timeout=RPC
        )
        try:
            return await known(update) is not None
        except WorkflowUpdateFailedError as error:
            raise TooManyEvents(id=execution_id) from error

    async def has_room(self, execution_id: UUID) -> bool:
        """Whether an execution takes one more event; True if that is unknown."""
        return (await self.progress(execution_id, _NONE_AFTER)).room != 0

    async def cancel(self, execution_id: UUID) -> bool:
        """Cancel an execution; False where it has ended."""
        return await done(self._handle(execution_id).cancel(rpc_timeout=RPC))

    async def terminate(self, execution_id: UUID) -> bool:
        """Terminate an execution; False where it has ended. The reason is in the ledger."""
        return await done(self._handle(execution_id).terminate(rpc_timeout=RPC))

    async def page(
        self, filter_: ExecutionFilter, size: int, token: bytes | None
    ) -> tuple[list[Execution], bytes | None]:
        """A page of executions, running ones first, and the token of the next page."""
        query = [
            f"WorkflowType = '{WORKFLOW}'",
            f"TaskQueue = '{TASK_QUEUE}'",
            f"WorkflowId STARTS_WITH '{WORKFLOW_ID_PREFIX}'",
            _STATUSES[filter_.state],
        ]
        if filter_.process_ref:
            query.append(f"{PROCESS_KEY.name} = '{filter_.process_ref}'")
        pages = self.client.list_workflows(
            " AND ".join(query), page_size=size, next_page_token=token, rpc_timeout=RPC
        )
        try:
            with answering():
                await pages.fetch_next_page()
        except RPCError as error:
            if token is not None and error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise InvalidPageToken from error
            raise
        found = [await _execution(each) for each in pages.current_page or () if execution_of(each.id)]
        return found, pages.next_page_token

    def _handle(self, execution_id: UUID) -> WorkflowHandle[Any, Result]:
        return self.client.get_workflow_handle(workflow_id(execution_id), result_type=Result)


async def known(call: Awaitable[T]) -> T | None:
    """Await an answer of Temporal; None where it answers NOT_FOUND."""
    try:
        with answering():
            return await call
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def done(call: Awaitable[None]) -> bool:
    """Await a command of Temporal; False where it answers NOT_FOUND."""

    async def doing() -> bool:
        await call
        return True

    return bool(await known(doing()))


@contextmanager
def answering() -> Iterator[None]:
    """Turn errors of an unreachable or busy Temporal, and of missing keys, into TemporalUnavailable."""
    try:
        yield
    except RPCError as error:
        if error.status in _AWAY or _is_unprepared(error):
            raise TemporalUnavailable(problem=error.message) from error
        raise
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise TemporalUnavailable(problem="no worker answered in time") from error
    except WorkflowQueryFailedError as error:
        raise TemporalUnavailable(problem=f"the worker could not answer: {error}") from error
    except CannotDecode as error:
        raise Undecoded(problem=str(error)) from error


def _is_unprepared(error: RPCError) -> bool:
    """Whether Temporal lacks the namespace or the search attribute, which is_ready() makes again."""
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return PROCESS_KEY.name in error.message
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)


async def _execution(found: WorkflowExecution) -> Execution:
    if found.status is None:
        raise TemporalUnavailable(problem=f"it does not say how {found.id} stands")
    try:
        with answering():
            memo = await found.memo()
    except Undecoded:
        memo = {}  # A list does not end at one lost key.
    record = memo.get(RECORD_MEMO)
    return Execution(
        id=UUID(found.id.removeprefix(WORKFLOW_ID_PREFIX)),
        process_ref=found.typed_search_attributes.get(PROCESS_KEY, ""),
        state=_STATES[found.status],
        start_time=_moment(memo.get(START_MEMO)) or found.start_time,
        end_time=found.close_time,
        tasks=(),
        listening=(),
        result_ref=None,
        problem=None,
        record_ref=record if isinstance(record, str) else "",
    )


def _moment(text: Any) -> datetime | None:
    """A time in a memo; None where another client of Temporal wrote something else."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _problem(cause: BaseException) -> Problem:
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        details: dict[str, Any] = cause.details[0]
        known = {name: details[name] for name in Problem.__dataclass_fields__ if name in details}
        return Problem(**{"type": error_uri("runtime"), "status": STATUSES["runtime"], **known})
    title = cause.message if isinstance(cause, FailureError) else type(cause).__name__
    return Problem(error_uri("runtime"), STATUSES["runtime"], title)
