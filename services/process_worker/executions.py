"""Executions: start them once, find them for ever, list them, stop them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from process_worker import records
from process_worker.commands import (
    ExecuteProcess,
    Execution,
    ExecutionFilter,
    ExecutionPage,
    Started,
    State,
    Story,
)
from process_worker.freeze import exact_refs, freeze
from process_worker.keys import result_key, workflow_id
from process_worker.ledger import Ledger
from process_worker.messages import Start
from process_worker.temporal import Temporal
from refinery_core.errors import (
    ExecutionEnded,
    ExecutionForgotten,
    ExecutionNotFound,
    RequestIdReused,
    RevisionConflict,
    SolutionInvalid,
    TemporalUnavailable,
)
from refinery_core.pages import open_token, page_token
from refinery_core.vibe.model import Refinement

_AT_ONCE: Final = 16
"""Outcomes that a list asks for at a time."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An execution as the ledger knows it."""

    refinement: Refinement
    asked: dict[str, object] | None
    """What was asked; None for an execution that another one runs, and starts."""
    start: Start


@dataclass(frozen=True)
class Executions:
    """The ledger says what was started and what came of it; Temporal says how far it is."""

    ledger: Ledger
    temporal: Temporal

    async def execute(self, command: ExecuteProcess) -> Started:
        """
        Start an execution, once for each request_id, and return when that is durable.

        A request that was recorded but not started, because somebody died in between, is started now.

        Raises:
            RequestIdReused: something else was committed under this request_id.
        """
        if await self.ledger.committed(command.request_id) is not None:
            return await self._replay(command)
        frozen = await freeze(self.ledger, command)
        content = records.solution(command, frozen)
        try:
            refined = await self.ledger.refine(
                request_id=command.request_id,
                author_ref=frozen.author_ref,
                branch=command.branch,
                drafts=records.drafts(
                    command.input, content, records.record_id(command.request_id), frozen.input_schema
                ),
                target_refs=(frozen.process_ref, *frozen.target_refs),
                instruction_refs=exact_refs(frozen),
                budget_refs=frozen.budget_refs,
            )
        except SolutionInvalid as refusal:
            raise records.invalid_input(refusal) from refusal
        except (RequestIdReused, RevisionConflict):
            # Two of the same came at once, and read the floating references at two moments.
            return await self._replay(command)
        if refined.refinement is None or refined.replayed:
            return await self._replay(command)
        start = records.start(refined.vibes[0].ref, content)
        await self.temporal.start(command.request_id, start)
        return Started(_begun(command.request_id, start, refined.refinement), replayed=False)

    async def _replay(self, command: ExecuteProcess) -> Started:
        recorded = await self._recorded(command.request_id)
        if recorded is None or recorded.asked != records.asked(command):
            raise RequestIdReused(request_id=command.request_id)
        return Started(await self._stands(command.request_id, recorded), replayed=True)

    async def get(self, execution_id: UUID) -> Story:
        """How far an execution is, or what it came to, with what happened last."""
        execution = await self.stands(execution_id)
        try:
            progress = await self.temporal.progress(execution_id, 0)
        except TemporalUnavailable:
            if execution.state is State.RUNNING:
                raise
            return Story(execution)  # What it came to is known; no worker is needed to tell.
        if execution.state is not State.RUNNING:
            return Story(execution, tuple(progress.events))
        tasks, listening = tuple(progress.tasks), tuple(progress.listening)
        return Story(replace(execution, tasks=tasks, listening=listening), tuple(progress.events))

    async def stands(self, execution_id: UUID) -> Execution:
        """
        How an execution stands, without its tasks.

        Raises:
            ExecutionNotFound: neither Temporal nor the ledger knows it.
            ExecutionForgotten: it left no result, so that only Temporal knew what became of it.
        """
        found = await self.temporal.find(execution_id)
        if found is not None:
            return found
        recorded = await self._recorded(execution_id)
        if recorded is None:
            raise ExecutionNotFound(id=execution_id)
        return await self._stands(execution_id, recorded)

    async def _stands(self, execution_id: UUID, recorded: Recorded) -> Execution:
        found = await self.temporal.find(execution_id)
        if found is not None:
            return found
        begun = _begun(execution_id, recorded.start, recorded.refinement)
        result = await self.ledger.committed(result_key(workflow_id(execution_id)))
        if result is not None:
            result_ref = result.vibe_refs[0]
            return replace(begun, state=State.COMPLETED, end_time=result.time, result_ref=result_ref)
        if datetime.now(UTC) - begun.start_time >= await self.temporal.remembers_for():
            raise ExecutionForgotten(id=execution_id, record_ref=begun.record_ref)
        if recorded.asked is None:
            return begun
        # Had it ever been started, Temporal would still know.
        await self.temporal.start(execution_id, recorded.start)
        return begun

    async def list(self, filter_: ExecutionFilter, size: int, token: str) -> ExecutionPage:
        """A page of executions, without their tasks: first those that run, then those that ended last."""
        after = bytes.fromhex(open_token(token, filter_, (str,))[1][0]) if token else None
        found, following = await self.temporal.page(filter_, size, after)
        places = asyncio.Semaphore(_AT_ONCE)

        async def whole(execution: Execution) -> Execution:
            async with places:
                return await self.temporal.with_outcome(execution)

        executions = await asyncio.gather(*map(whole, found))
        return ExecutionPage(
            tuple(executions), page_token(filter_, 0, [following.hex()]) if following else ""
        )

    async def cancel(self, execution_id: UUID) -> None:
        """Ask an execution to stop; nothing happens where it did because it was asked before."""
        # Asked to cancel what has ended, Temporal says yes.
        if (await self.stands(execution_id)).state is State.RUNNING and await self.temporal.cancel(
            execution_id
        ):
            return
        await self.refuse_ended(execution_id, unless=State.CANCELLED)

    async def terminate(self, execution_id: UUID, reason: str) -> None:
        """Stop an execution at once; nothing happens where it was stopped before."""
        if not await self.temporal.terminate(execution_id, reason):
            await self.refuse_ended(execution_id, unless=State.TERMINATED)

    async def refuse_ended(self, execution_id: UUID, *, unless: State | None = None) -> None:
        """Say how an execution has ended that cannot be asked for anything any more."""
        execution = await self.stands(execution_id)
        if execution.state is not unless:
            raise ExecutionEnded(id=execution_id, state=execution.state)

    async def _recorded(self, execution_id: UUID) -> Recorded | None:
        """What was committed under an execution's id; None where nothing was, or something else."""
        refinement = await self.ledger.committed(execution_id)
        if refinement is None:
            return None
        vibe = await self.ledger.vibe(refinement.vibe_refs[0])
        if vibe.id != records.record_id(execution_id):
            return None
        return Recorded(refinement, vibe.solution.get("asked"), records.start(vibe.ref, vibe.solution))


def _begun(execution_id: UUID, start: Start, refinement: Refinement) -> Execution:
    return Execution(
        id=execution_id,
        process_ref=start.process_ref,
        state=State.RUNNING,
        start_time=refinement.time,
        record_ref=start.record_ref,
    )
