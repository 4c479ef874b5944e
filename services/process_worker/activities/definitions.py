"""The activities: read, evaluate, call and commit for a workflow. Each may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.functions import Caller
from process_worker.activities.outside.refusals import as_fault, is_for_now
from process_worker.door.schedules import Schedules
from process_worker.engine.bounds import measure
from process_worker.engine.faults import Fault, standard
from process_worker.engine.ports import Busy, EvaluationFault, Starved
from process_worker.workflow import steps
from process_worker.workflow.messages import Fired
from process_worker.workflow.replayed import NEXT_TASK
from refinery_core.errors import Draining, RefineryError
from refinery_core.process.parts import Expression
from refinery_core.serving.drain import result_before

T = TypeVar("T")

_log = structlog.get_logger("refinery.activities")

_BEAT_SECONDS: Final = 2.0
_ATTEMPTS: Final = 4
"""Attempts after which an unforeseen error is final."""


@dataclass(frozen=True)
class Activities:
    """The activities of one worker."""

    calls: Calls

    @activity.defn(name=steps.LOAD)
    async def load(self, load: steps.Load) -> steps.Loaded:
        """Read a process, unless its execution was terminated."""
        return await _before_this_worker_ends(self._load(load))

    async def _load(self, load: steps.Load) -> steps.Loaded:
        workflow = activity.info().workflow_id
        assert workflow is not None
        with _final():
            return await self.calls.documents.load(load, workflow)

    @activity.defn(name=steps.EVALUATE)
    async def evaluate(self, asked: steps.Evaluate) -> steps.Evaluated:
        """Evaluate expressions that took too long for the workflow."""
        return await _before_this_worker_ends(self._evaluate(asked))

    async def _evaluate(self, asked: steps.Evaluate) -> steps.Evaluated:
        pairs = zip(asked.expressions, asked.reads, strict=True)
        expressions = [Expression(source, frozenset(reads)) for source, reads in pairs]
        try:
            return steps.Evaluated(await self.calls.evaluate(expressions, asked.value, asked.variables))
        except EvaluationFault as fault:
            raise _wrong(str(fault)) from None
        except Starved as starved:
            if activity.info().attempt < _ATTEMPTS:
                raise
            raise _wrong(str(starved)) from None

    @activity.defn(name=steps.BREATHE)
    async def breathe(self) -> None:
        """Do nothing: the workflow yields."""

    @activity.defn(name=steps.PERFORM)
    async def perform(self, asked: steps.Perform) -> steps.Performed:
        """Make a call."""
        with _final():
            async with _alive():
                caller = Caller(UUID(asked.key), asked.behalf)
                output = await self.calls.perform(asked.call, caller, asked.frozen)
            measure(output)
            return steps.Performed(output)

    @activity.defn(name=steps.BEGIN)
    async def begin(self, begin: steps.Begin) -> steps.Begun:
        """Record the execution of a process that another one runs."""
        with _final():
            return await self.calls.documents.begin(begin)

    @activity.defn(name=steps.COMMIT)
    async def commit(self, commit: steps.Commit) -> steps.Committed:
        """Commit the result."""
        with _final():
            return steps.Committed(await self.calls.documents.commit(commit))


@dataclass(frozen=True)
class ScheduleActivities:
    """The activities of the firings of schedules."""

    schedules: Schedules

    @activity.defn(name=steps.EXECUTE)
    async def execute(self, asked: steps.Execute) -> Fired:
        """Start the execution of a firing."""
        try:
            started = await self.schedules.fire(asked.record_ref, UUID(asked.key))
        except RefineryError as refusal:
            if is_for_now(refusal):
                raise
            raise ApplicationError(
                refusal.message,
                type=refusal.reason,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # GetSchedule shows it.
            ) from None
        return Fired(None if started is None else str(started))


async def _before_this_worker_ends(work: Coroutine[Any, Any, T]) -> T:
    """
    Do the work of a local activity, until this worker shuts down.

    Retries of a local activity hold its workflow task, and the task holds the worker, which would not end. A
    retry that is far enough away ends the task, and the worker that takes the next one retries.
    """
    try:
        return await result_before(activity.wait_for_worker_shutdown(), work)
    except Draining:
        raise ApplicationError(
            "this worker ends",
            type="draining",
            next_retry_delay=NEXT_TASK,
            category=ApplicationErrorCategory.BENIGN,
        ) from None


@contextmanager
def _final() -> Iterator[None]:
    """Turn final errors into faults, with their problems; Temporal retries the others."""
    try:
        yield
    except Fault as fault:
        raise _failure(fault, "fault") from None
    except RefineryError as refusal:
        if is_for_now(refusal):
            raise
        raise _failure(as_fault(refusal), refusal.reason) from None
    except Exception as error:
        # An unforeseen error: it may go away with this worker, or come again for ever.
        waits = isinstance(error, Busy) and not isinstance(error, Starved)
        if waits or activity.info().attempt < _ATTEMPTS:
            raise
        _log.exception("a step failed again and again", error=type(error).__name__)
        detail = f"it failed {_ATTEMPTS} times: {type(error).__name__}; the log of the worker has more"
        raise _failure(standard("runtime", detail), "fault") from None


def _wrong(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="expression", non_retryable=True)


def _failure(fault: Fault, kind: str) -> ApplicationError:
    return ApplicationError(
        str(fault),
        asdict(fault.problem),
        type=kind,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,  # The process has to deal with it, not the operator.
    )


@asynccontextmanager
async def _alive() -> AsyncIterator[None]:
    """Heartbeat, so that Temporal starts another attempt if this worker dies."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(_BEAT_SECONDS)

    beating = asyncio.get_running_loop().create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
