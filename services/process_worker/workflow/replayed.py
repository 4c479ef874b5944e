"""The engine's ports on Temporal: each answer is in the history, or deterministic."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import FailureError

from process_worker.engine.calls import CapabilityCall, Fetch, RunProcess
from process_worker.engine.faults import standard
from process_worker.engine.ports import Busy, EvaluationFault, Killed, Request
from process_worker.workflow import steps
from process_worker.workflow.failures import cause_of, faulting, uncancelled
from process_worker.workflow.messages import (
    MAX_INLINE_BYTES,
    PROCESS_KEY,
    RECORD_MEMO,
    START_MEMO,
    WORKFLOW,
    WORKFLOW_ID_PREFIX,
    Result,
    Start,
)
from refinery_core.process.parts import Expression
from refinery_core.vibe.refs import Ref

T = TypeVar("T")

EVALUATE: Final = "refinery.evaluate"
"""The name of the evaluator among the workflows' functions; see `worker.Lending`."""

SHORT: Final = timedelta(seconds=10)
EVALUATED: Final = timedelta(seconds=60)
"""More than an activity waits for an evaluation; see `Evaluator.evaluate_patiently`."""
LONG: Final = timedelta(hours=1)
HEARTBEAT: Final = timedelta(seconds=10)
"""Five heartbeats, so that a busy worker does not count as dead."""
PATIENT: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=5)
)
"""The retries of services that are away. Activities mark refusals as final."""
AT_ONCE: Final = timedelta(seconds=2)
"""The delay up to which a local activity is retried within the same workflow task."""
NEXT_TASK: Final = timedelta(seconds=3)
"""The delay of a retry that ends the workflow task; more than AT_ONCE."""
_WAITED_IN_REPLAY: Final = 5.0
"""The seconds that a replay waits for one evaluation, which took less than one at first."""
_COMPUTING: Final = 0.4
"""The seconds of evaluations in one workflow task: they hold a thread that others need."""
_AT_ONCE: Final = 2 << 20
"""The bytes of the activities that one workflow task starts. Temporal takes four million in a message."""
_DEEPEST: Final = 32


async def activity(
    name: str,
    asked: Any,
    answer: type[T],
    summary: str,
    *,
    time: timedelta = SHORT,
    heartbeat: timedelta | None = None,
) -> T:
    """Run an activity; it is retried until it answers or fails for good."""
    result: T = await workflow.execute_activity(
        name,
        asked,
        result_type=answer,
        start_to_close_timeout=time,
        heartbeat_timeout=heartbeat,
        retry_policy=PATIENT,
        summary=summary,
    )
    return result


async def local(name: str, asked: Any, answer: type[T], time: timedelta = SHORT) -> T:
    """Run a local activity, likewise."""
    result: T = await workflow.execute_local_activity(
        name,
        asked,
        result_type=answer,
        start_to_close_timeout=time,
        local_retry_threshold=AT_ONCE,
        retry_policy=PATIENT,
    )
    return result


class Evaluation(Protocol):
    """A function that evaluates at once, or raises Killed or EvaluationFault."""

    def __call__(
        self,
        expressions: Sequence[Expression],
        value: Any,
        variables: Mapping[str, Any],
        *,
        patience: float = ...,
    ) -> list[Any]:
        """Evaluate, and wait for at most `patience` seconds."""


class Replayed:
    """The ports of the running workflow."""

    def __init__(self, start: Start, consumed: Callable[[str], None]) -> None:
        self._start = start
        self._consumed = consumed
        self._evaluate: Evaluation = workflow.extern_functions()[EVALUATE]
        self._evaluations = 0
        self._stop = -1
        self._seconds = 0.0
        self._bytes = 0
        self._room = asyncio.Lock()
        self.behalf = steps.Behalf(start.author_ref, start.branch, start.process_ref, start.record_ref)
        self.capabilities: Mapping[str, dict[str, str]] = {}

    # --- Computing ------------------------------------------------------------------------

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """
        Evaluate at once; slow evaluations become local activities, whose results are in the history.

        A patch marker records which way was taken, so that a replay does not depend on the time that the
        same evaluation takes today.
        """
        self._evaluations += 1
        mark = f"killed-{self._evaluations}"
        if workflow.unsafe.is_replaying():
            if workflow.patched(mark):
                return await self._wait_for(expressions, value, variables)
            # If it takes longer than then, this workflow task fails, not the execution; its retry finds the
            # result in the cache.
            return self._evaluate(expressions, value, variables, patience=_WAITED_IN_REPLAY)
        try:
            return self._evaluate_now(expressions, value, variables)
        except Killed:
            workflow.patched(mark)
            return await self._wait_for(expressions, value, variables)

    def _evaluate_now(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        self._note_stop()
        if self._seconds > _COMPUTING:
            raise Busy("enough was computed at one go")
        started = time.perf_counter()
        try:
            return self._evaluate(expressions, value, variables)
        finally:
            self._seconds += time.perf_counter() - started

    def _note_stop(self) -> None:
        """Reset the count if a workflow task has begun since."""
        length = workflow.info().get_current_history_length()
        if length != self._stop:
            self._stop, self._seconds = length, 0.0

    async def _wait_for(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        asked = steps.Evaluate(
            expressions=[expression.source for expression in expressions],
            reads=[sorted(expression.variables) for expression in expressions],
            value=value,
            variables=dict(variables),
        )
        try:
            evaluated = await uncancelled(local(steps.EVALUATE, asked, steps.Evaluated, EVALUATED))
        except FailureError as error:
            raise EvaluationFault(cause_of(error).message) from None
        finally:
            self._seconds = 0.0
        return evaluated.results

    # --- Doing ----------------------------------------------------------------------------

    async def perform(self, request: Request) -> Any:
        """Make a call, or run a process."""
        call = request.call
        if isinstance(call, RunProcess):
            return await self._run_process(request, call)
        frozen = self.capabilities.get(call.ref, {}) if isinstance(call, CapabilityCall) else {}
        asked = steps.Perform.of(request, call, self.behalf, frozen)
        await self._make_room(asked)
        summary = request.pointer
        performing = activity(steps.PERFORM, asked, steps.Performed, summary, time=LONG, heartbeat=HEARTBEAT)
        return (await faulting(performing)).output

    async def _make_room(self, message: Any) -> None:
        """Yield if this workflow task starts too much: small messages travel together, large ones by ref."""
        # Temporal's converter escapes letters beyond ASCII, too.
        size = len(json.dumps(message, default=vars, separators=(",", ":")))
        if size > MAX_INLINE_BYTES:
            return
        async with self._room:
            if self._bytes + size > _AT_ONCE:
                await self.breathe()
                self._bytes = 0
            self._bytes += size

    async def _run_process(self, request: Request, call: RunProcess) -> Any:
        if self._start.depth >= _DEEPEST:
            raise standard("runtime", f"processes run each other more than {_DEEPEST} deep")
        start, memo = await self._begin(request, call)
        await self._make_room(start)
        policy = workflow.ParentClosePolicy
        child = await faulting(
            workflow.start_child_workflow(
                WORKFLOW,
                start,
                id=f"{WORKFLOW_ID_PREFIX}{request.key}",
                result_type=Result,
                parent_close_policy=policy.REQUEST_CANCEL if call.wait else policy.ABANDON,
                static_summary=request.pointer,
                memo=memo,
                search_attributes=TypedSearchAttributes([SearchAttributePair(PROCESS_KEY, call.ref)]),
            )
        )
        if not call.wait:
            return None
        result: Result = await faulting(child)
        self._consumed(result.result_ref)
        return await self.perform(replace(request, call=Fetch(result.result_ref)))

    async def _begin(self, request: Request, call: RunProcess) -> tuple[Start, dict[str, str]]:
        begin = steps.Begin(
            key=request.key,
            process_ref=call.ref,
            result_id=f"{Ref.parse(call.ref).id}/results/{request.key}",
            input=call.input,
            behalf=self.behalf,
            frozen=self._start.frozen,
        )
        await self._make_room(begin)
        begun = await faulting(activity(steps.BEGIN, begin, steps.Begun, request.pointer))
        memo = {RECORD_MEMO: begun.record_ref, START_MEMO: begun.start_time}
        start = Start(
            process_ref=call.ref,
            record_ref=begun.record_ref,
            author_ref=self._start.author_ref,
            branch=self._start.branch,
            result_id=begin.result_id,
            input=begin.input if begun.input_ref is None else None,
            input_ref=begun.input_ref,
            frozen=self._start.frozen,
            depth=self._start.depth + 1,
        )
        return start, {name: text for name, text in memo.items() if text}

    # --- Time and chance ------------------------------------------------------------------

    async def pause(self, milliseconds: int, pointer: str) -> None:
        """Wait."""
        await workflow.sleep(timedelta(milliseconds=milliseconds), summary=pointer)

    async def breathe(self) -> None:
        """
        End this workflow task: it may take ten seconds, and it holds a thread that others need.

        An activity does it in milliseconds; a timer would take up to a second.
        """
        await uncancelled(workflow.execute_activity(steps.BREATHE, start_to_close_timeout=SHORT))

    def now_us(self) -> int:
        """The time of this workflow task."""
        return workflow.time_ns() // 1_000

    def random(self) -> float:
        """A random number that a replay repeats."""
        return workflow.random().random()

    def is_full(self) -> bool:
        """Whether the history is long enough for a new run."""
        if workflow.cancellation_reason() is not None:
            return False  # A new run would not know of the cancellation.
        info = workflow.info()
        limit = self._start.max_history
        return info.is_continue_as_new_suggested() or 0 < limit <= info.get_current_history_length()
