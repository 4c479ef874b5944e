"""The worker: its workflows and activities, and their dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client
from temporalio.worker import (
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from process_worker.activities.definitions import Activities, ScheduleActivities
from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.gateway import Gateway
from process_worker.door.capabilities import MAX_CALLS
from process_worker.door.schedules import Schedules
from process_worker.jq.evaluator import Evaluator
from process_worker.workflow.firings import FireSchedule
from process_worker.workflow.messages import TASK_QUEUE
from process_worker.workflow.replayed import EVALUATE
from process_worker.workflow.workflows import ExecuteProcess
from refinery_client import Refinery

_WORKFLOW_TASKS: Final = 16
_ACTIVITIES: Final = 100
_CACHED: Final = 1_000
GRACE: Final = timedelta(seconds=10)
_BEATS: Final = timedelta(seconds=2)
"""The time for which the SDK may hold a heartbeat back; by default, nearly its timeout."""
_ACTIVATION_SECONDS: Final = 60
"""Seconds of one activation that count as a deadlock; Temporal gives the task away before."""
_STICKY: Final = timedelta(seconds=4)
"""The time for which a workflow task waits for the worker that had the last one."""


class Lending(Interceptor):
    """Gives workflows the evaluator, which they may call directly, because it is deterministic."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 -- the SDK's word
    ) -> type[WorkflowInboundInterceptor] | None:
        """Add the evaluator; nothing is intercepted."""
        functions_: dict[str, Any] = {EVALUATE: self._evaluator.evaluate}
        input.unsafe_extern_functions.update(functions_)
        return None


def build(client: Client, calls: Calls, schedules: Schedules) -> Worker:
    """Build the worker. It runs while it is entered; leaving it finishes the work under way."""
    activities, firings = Activities(calls), ScheduleActivities(schedules)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ExecuteProcess, FireSchedule],
        activities=[
            activities.load,
            activities.evaluate,
            activities.breathe,
            activities.perform,
            activities.begin,
            activities.commit,
            firings.execute,
        ],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[Lending(calls.evaluator)],
        max_cached_workflows=_CACHED,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS,
        max_concurrent_activities=_ACTIVITIES,
        max_concurrent_local_activities=_ACTIVITIES,
        max_heartbeat_throttle_interval=_BEATS,
        sticky_queue_schedule_to_start_timeout=_STICKY,
        graceful_shutdown_timeout=GRACE,
    )
    # The SDK's own bound is two seconds on the clock, and no setting. On a busy machine innocent tasks exceed
    # it again and again, and their workflows may never be evicted from the cache.
    assert worker._workflow_worker is not None  # noqa: SLF001
    worker._workflow_worker._deadlock_timeout_seconds = _ACTIVATION_SECONDS  # noqa: SLF001
    return worker


@asynccontextmanager
async def reaching(refinery: Refinery, gateway: Gateway, *, children: int = 2) -> AsyncIterator[Calls]:
    """The calls of executions and callers, until the block is left; jq runs in `children` processes."""
    # gRPC calls, functions and lookups of names wait in threads; by default there would be a handful.
    threads = ThreadPoolExecutor(2 * _ACTIVITIES + MAX_CALLS, "outside")
    asyncio.get_running_loop().set_default_executor(threads)
    with Evaluator(children) as evaluator:
        yield Calls.of(refinery, evaluator, gateway)
