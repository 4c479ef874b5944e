"""The steering of executions: cancellations and events, which their histories show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import WorkflowHandle

from process_worker.workflow.messages import Result
from tests.integration.process.executor import Executor, progress
from tests.support.waiting import until

Handle = WorkflowHandle[Any, Result]


async def cancel(executor: Executor, handle: Handle) -> None:
    """Cancel it while it listens."""
    await until(lambda: _listens(handle))
    await handle.cancel()


async def cancel_while_a_child_runs(executor: Executor, handle: Handle) -> None:
    """Cancel it while it waits for another execution."""

    async def is_parent() -> bool:
        return bool((await handle.describe()).raw_description.pending_children)

    await until(is_parent)
    await handle.cancel()


def then_deliver(*events: dict[str, Any]) -> Callable[[Executor, Handle], Awaitable[None]]:
    """Send it events while it listens."""

    async def deliver(executor: Executor, handle: Handle) -> None:
        await until(lambda: _listens(handle))
        for event in events:
            await executor.deliver(handle, event)

    return deliver


async def _listens(handle: Handle) -> bool:
    return bool((await progress(handle)).listening)
