"""Executions: started once, found for ever, listed, cancelled and terminated."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from process_worker.door.commands import ExecuteProcess, ExecutionFilter, Page, Story
from process_worker.door.pages import fitting
from process_worker.door.recording import Recorded, end, find, record
from process_worker.records.execution import (
    ExecutionRecord,
    is_termination,
    why_terminated,
)
from process_worker.records.ledger import Ledger
from process_worker.temporal.client import Temporal
from process_worker.workflow.keys import result_key, workflow_id
from refinery_client import ABSENT, Execution, ExecutionStarted, ExecutionState
from refinery_core.errors import (
    ExecutionEnded,
    ExecutionForgotten,
    ExecutionLost,
    ExecutionNotFound,
    TemporalUnavailable,
)
from refinery_core.pages import unwrap_token, wrap_token
from refinery_core.vibe.model import Refinement

SOON: Final = timedelta(minutes=1)
"""
The time for which an execution that is recorded, and unknown to Temporal, is said to run: its recorder is
about to start it, or retries because a worker died in between. After that it counts as lost.
"""
_AT_ONCE: Final = 16
"""Concurrent requests for the outcomes in a list."""


@dataclass(frozen=True)
class Executions:
    """Executions: the ledger has their start and their end; Temporal has their progress."""

    ledger: Ledger
    temporal: Temporal

    async def execute(self, command: ExecuteProcess) -> ExecutionStarted:
        """
        Start an execution, once for each request_id, and return when that is durable.

        A request that was recorded but not started, because a worker died in between, is started now.

        Raises:
            RequestIdReused: something else was committed under this request_id.
        """
        id_ = command.request_id
        recorded, replayed = await record(self.ledger, ExecutionRecord, command)
        if replayed:
            return ExecutionStarted(await self._stands(id_, recorded, starts=True), replayed)
        begun = _begun(id_, recorded)
        await self.temporal.start(id_, recorded.record.start(recorded.ref), begun.start_time)
        return ExecutionStarted(begun, replayed)

    async def get(self, execution_id: UUID) -> Story:
        """An execution with its tasks and its last events."""
        execution = await self.stands(execution_id)
        try:
            progress = await self.temporal.progress(execution_id, 0)
        except TemporalUnavailable:
            if execution.state is ExecutionState.RUNNING:
                raise
            return Story(execution)  # Its end is known without a worker.
        if execution.state is not ExecutionState.RUNNING:
            return Story(execution, tuple(progress.events))
        tasks, listening = tuple(progress.tasks), tuple(progress.listening)
        return Story(replace(execution, tasks=tasks, listening=listening), tuple(progress.events))

    async def stands(self, execution_id: UUID) -> Execution:
        """
        An execution without its tasks. The ledger knows its end for ever.

        Raises:
            ExecutionNotFound: neither Temporal nor the ledger knows it.
            ExecutionForgotten: it left no result, and Temporal no longer remembers it.
            ExecutionLost: it was never started, or Temporal lost it; it can be executed again.
        """
        recorded = await find(self.ledger, ExecutionRecord, execution_id)
        if recorded is not None:
            return await self._stands(execution_id, recorded)
        found = await self.temporal.find(execution_id)
        if found is None:
            raise ExecutionNotFound(id=execution_id)
        return await self._judged(found)

    async def _stands(
        self, execution_id: UUID, recorded: Recorded[ExecutionRecord], *, starts: bool = False
    ) -> Execution:
        """The same for a RECORD. A mere question starts nothing: a forgotten execution would run again."""
        begun = _begun(execution_id, recorded)
        end = await self._end(execution_id)
        if end is not None:
            ended = await self._ended(begun, end)
            if ended.state is ExecutionState.TERMINATED:
                with suppress(
                    TemporalUnavailable
                ):  # Temporal may not have been told, or may not have known it yet.
                    await self.temporal.terminate(execution_id)
            return ended
        found = await self.temporal.find(execution_id)
        if found is not None:
            return replace(found, start_time=begun.start_time)
        age = datetime.now(UTC) - begun.start_time
        if age >= await self.temporal.remembers_for():
            raise ExecutionForgotten(id=execution_id, record_ref=begun.record_ref)
        if recorded.record.parent_ref is not ABSENT:
            # The execution that runs it is about to start it, or never will.
            runs = await self._runs(recorded.record.parent_ref)
            return (
                begun if runs else replace(begun, state=ExecutionState.CANCELLED, end_time=begun.start_time)
            )
        if starts:
            # It was never started, or Temporal lost it: its commits are not repeated, thanks to their keys.
            await self.temporal.start(execution_id, recorded.record.start(recorded.ref), begun.start_time)
        elif age >= SOON:
            raise ExecutionLost(id=execution_id, record_ref=begun.record_ref)
        return begun

    async def _runs(self, record_ref: str) -> bool:
        """Whether the execution of a RECORD runs; True where there is no RECORD to ask about."""
        try:
            return (await self.stands(ExecutionRecord.uuid_in(record_ref))).state is ExecutionState.RUNNING
        except (ExecutionNotFound, ExecutionForgotten, ExecutionLost):
            return False
        except ValueError:
            return True

    async def list(self, filter_: ExecutionFilter, size: int, token: str) -> Page[Execution]:
        """A page of executions, without their tasks: running ones first, then the latest to end."""
        after, places = unwrap_token(token, filter_), asyncio.Semaphore(_AT_ONCE)

        async def whole(execution: Execution) -> Execution | None:
            async with places:
                known = await self.temporal.with_outcome(execution)
                return None if known is None else await self._judged(known)

        async def read(size: int) -> tuple[list[Execution], bytes | None]:
            found, following = await self.temporal.page(filter_, size, after)
            executions = await asyncio.gather(*map(whole, found))
            return [execution for execution in executions if execution is not None], following

        page, following = await fitting(read, size)
        return Page(page, wrap_token(filter_, following))

    async def cancel(self, execution_id: UUID) -> None:
        """Cancel an execution; nothing happens where it was cancelled before."""
        # Temporal accepts to cancel an execution that has ended.
        if (await self.stands(execution_id)).state is ExecutionState.RUNNING and await self.temporal.cancel(
            execution_id
        ):
            return
        await self.refuse_ended(execution_id, unless=ExecutionState.CANCELLED)

    async def terminate(self, execution_id: UUID, reason: str, author_ref: str = "") -> None:
        """
        Terminate an execution; nothing happens where it was terminated before.

        The ledger comes first, under the key of the result: a commit under way is refused from then on.
        """
        execution = await self.stands(execution_id)
        if execution.state is ExecutionState.RUNNING:
            execution = await self._terminated(execution, reason, author_ref)
        if execution.state is not ExecutionState.TERMINATED:
            raise ExecutionEnded(id=execution_id, state=execution.state)
        await self.temporal.terminate(execution_id)

    async def _terminated(self, execution: Execution, reason: str, author_ref: str) -> Execution:
        """Commit the termination of an execution, unless its result was committed before."""
        recorded = await find(self.ledger, ExecutionRecord, execution.id)
        if recorded is None:
            return replace(execution, state=ExecutionState.TERMINATED)  # It has no RECORD.
        key, why = result_key(workflow_id(execution.id)), {"reason": reason}
        await end(self.ledger, recorded, key, author_ref, terminated=why)
        return await self._judged(replace(execution, state=ExecutionState.TERMINATED))

    async def refuse_ended(self, execution_id: UUID, *, unless: ExecutionState | None = None) -> None:
        """Refuse a command for an execution that has ended."""
        execution = await self.stands(execution_id)
        if execution.state is ExecutionState.RUNNING:
            raise TemporalUnavailable(problem="it says that the execution has ended, and that it runs")
        if execution.state is not unless:
            raise ExecutionEnded(id=execution_id, state=execution.state)

    async def _end(self, execution_id: UUID) -> Refinement | None:
        """The refinement that ended an execution: its result, or its termination."""
        return await self.ledger.committed(result_key(workflow_id(execution_id)))

    async def _judged(self, execution: Execution) -> Execution:
        """The same execution, with the end that the ledger has: it overrules Temporal."""
        if execution.state is ExecutionState.RUNNING or execution.result_ref is not None:
            return execution
        end = await self._end(execution.id)
        return execution if end is None else await self._ended(execution, end)

    async def _ended(self, execution: Execution, end: Refinement) -> Execution:
        ref, ended = end.vibe_refs[0], replace(execution, end_time=end.time)
        if not is_termination(end):
            return replace(ended, state=ExecutionState.COMPLETED, result_ref=ref, problem=None)
        problem = why_terminated((await self.ledger.vibe(ref)).solution)
        return replace(ended, state=ExecutionState.TERMINATED, problem=problem)


def _begun(execution_id: UUID, recorded: Recorded[ExecutionRecord]) -> Execution:
    return Execution(
        id=execution_id,
        process_ref=recorded.record.process_ref,
        state=ExecutionState.RUNNING,
        start_time=recorded.refinement.time,
        end_time=None,
        tasks=(),
        listening=(),
        result_ref=None,
        problem=None,
        record_ref=recorded.ref,
    )
