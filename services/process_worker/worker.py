"""Builds the worker: its workflows, their activities, and what they need."""

from __future__ import annotations

import asyncio
import os
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

from process_worker.activities import Activities, ScheduleActivities
from process_worker.executions import Executions
from process_worker.expressions import Evaluator
from process_worker.firings import FireSchedule
from process_worker.ledger import Ledger
from process_worker.messages import TASK_QUEUE
from process_worker.outside import functions
from process_worker.outside.calls import Calls
from process_worker.outside.documents import Documents
from process_worker.outside.http import Gateway
from process_worker.outside.secrets import Secrets
from process_worker.replayed import EVALUATE
from process_worker.schedules import Schedules
from process_worker.temporal import Temporal
from process_worker.timetable import Timetable
from process_worker.workflows import ExecuteProcess
from refinery_client import Refinery

_WORKFLOW_TASKS: Final = 16
_ACTIVITIES: Final = 100
_CACHED: Final = 1_000
_GRACE: Final = timedelta(seconds=10)
_STICKY: Final = timedelta(seconds=4)
"""How long the worker that was last at it is waited for, before another one takes over."""


class Lending(Interceptor):
    """Lends workflows what they may use at once, because it gives the same answer whenever it is asked."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 -- the SDK's word
    ) -> type[WorkflowInboundInterceptor] | None:
        """Add the functions; nothing is intercepted."""
        functions_: dict[str, Any] = {EVALUATE: self._evaluator.evaluate}
        input.unsafe_extern_functions.update(functions_)
        return None


def build(client: Client, refinery: Refinery, evaluator: Evaluator, *, http_allow: str = "") -> Worker:
    """Build the worker; nothing runs before it is entered or run."""
    calls = Calls(
        documents=Documents(refinery),
        evaluator=evaluator,
        gateway=Gateway.of(http_allow),
        secrets=Secrets.from_environment(evaluator),
        functions={**functions.installed(), **functions.LedgerFunctions(refinery).by_name()},
    )
    schedules = Schedules(Executions(Ledger(refinery), Temporal(client)), Timetable(client))
    activities, firings = Activities(calls), ScheduleActivities(schedules)
    return Worker(
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
        interceptors=[Lending(evaluator)],
        max_cached_workflows=_CACHED,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS,
        max_concurrent_activities=_ACTIVITIES,
        max_concurrent_local_activities=_ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=_STICKY,
        graceful_shutdown_timeout=_GRACE,
    )


@asynccontextmanager
async def working(client: Client, refinery: Refinery, *, http_allow: str = "") -> AsyncIterator[Worker]:
    """Work until the block is left, and then finish what is under way, for a while."""
    # Calls wait in threads; by default there would be a handful of them, whoever waits.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_ACTIVITIES, "outside"))
    with Evaluator(children=max(2, os.cpu_count() or 2)) as evaluator:
        worker = build(client, refinery, evaluator, http_allow=http_allow)
        async with worker:
            yield worker
