"""Watches: the past and coming events of an execution, each once, until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from process_worker.door.commands import News
from process_worker.door.executions import Executions
from process_worker.engine.contract import TaskEvent
from process_worker.workflow.messages import Progress
from refinery_client import Execution, ExecutionState
from refinery_core.errors import TemporalUnavailable
from refinery_core.serving.drain import Drain

ENDED: Final = "EXECUTION_ENDED"
HEARTBEAT_SECONDS: Final = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_LAST_ATTEMPTS: Final = 5


async def watch(
    executions: Executions, drain: Drain, execution_id: UUID, after_number: int
) -> AsyncGenerator[News, None]:
    """
    Send the events after a number, as far back as they are kept, and the coming ones.

    Raises:
        Draining: the server stops, or the stream is old.
        ExecutionNotFound: there is no such execution.
    """
    execution = await executions.stands(execution_id)
    yield News(execution=execution)
    over = asyncio.create_task(_ended(executions, execution))
    try:
        async for news in _follow(executions, drain, execution, after_number, over):
            yield news
    finally:
        over.cancel()
        await asyncio.gather(over, return_exceptions=True)


async def _ended(executions: Executions, execution: Execution) -> Execution:
    """Wait until an execution has ended. Temporal may not know it yet."""
    while execution.state is ExecutionState.RUNNING:
        await executions.temporal.ended(execution.id)
        execution = await executions.stands(execution.id)
        if execution.state is ExecutionState.RUNNING:
            await asyncio.sleep(_LONGEST_PAUSE)
    return execution


async def _follow(
    executions: Executions, drain: Drain, execution: Execution, after: int, over: asyncio.Task[Execution]
) -> AsyncGenerator[News, None]:
    pause, heard = _FIRST_PAUSE, time.monotonic()
    is_over = execution.state is not ExecutionState.RUNNING
    while True:
        progress = await drain.or_result(_progress(executions, execution.id, after, last=is_over))
        for event in progress.events:
            if event.kind != ENDED:
                yield News(event)
                after, pause, heard = event.number, _FIRST_PAUSE, time.monotonic()
        if is_over:
            ended = await over
            yield News(_end(ended, progress, after), ended)
            return
        if time.monotonic() - heard >= HEARTBEAT_SECONDS:
            yield News()
            heard = time.monotonic()
        await drain.or_result(_pause(over, pause))
        pause, is_over = min(pause * 1.5, _LONGEST_PAUSE), over.done()


async def _progress(executions: Executions, execution_id: UUID, after: int, *, last: bool) -> Progress:
    """The progress; empty while no worker answers. The last question is repeated a few times."""
    for _ in range(_LAST_ATTEMPTS if last else 1):
        try:
            return await executions.temporal.progress(execution_id, after)
        except TemporalUnavailable:
            continue
    return Progress(state="")


async def _pause(over: asyncio.Task[Execution], seconds: float) -> None:
    await asyncio.wait((over,), timeout=seconds)


def _end(execution: Execution, progress: Progress, after: int) -> TaskEvent | None:
    """The last event, unless it was sent. It is made up for executions that were terminated or forgotten."""
    for event in progress.events:
        if event.kind == ENDED:
            return event
    says_so = progress.state not in ("", ExecutionState.RUNNING)
    number = progress.last_number if says_so else progress.last_number + 1
    if after >= number:
        return None
    ended = execution.end_time or execution.start_time
    return TaskEvent(number, ENDED, "", round(ended.timestamp() * 1_000_000), execution.problem)
