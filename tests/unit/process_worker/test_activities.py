from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from process_worker.activities.definitions import Activities
from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.gateway import Gateway
from process_worker.engine.ports import Starved
from process_worker.jq import evaluator as expressions
from process_worker.jq.evaluator import Evaluator
from process_worker.workflow import steps
from process_worker.workflow.replayed import AT_ONCE
from refinery_client import Refinery

NOBODY = "127.0.0.1:9"
ASKED = steps.Evaluate(["[range(10)] | add"], [[]], None, {})


@asynccontextmanager
async def activities(*, far: float = 60.0) -> AsyncIterator[Activities]:
    """Before a ledger that is away; expressions are evaluated in one child, which is stopped."""
    async with Refinery.connect(ledger=NOBODY, resolver=NOBODY) as refinery:
        with Evaluator(children=1, far=far) as evaluator:
            for pid in evaluator.pids:
                os.kill(pid, signal.SIGSTOP)
            yield Activities(Calls.of(refinery, evaluator, Gateway()))


@pytest.mark.parametrize(
    ("name", "asked"),
    [("evaluate", ASKED), ("load", steps.Load("main@processes/x?1"))],
    ids=["evaluate", "load"],
)
async def test_a_local_activity_of_a_worker_that_ends_asks_for_the_next_workflow_task(
    name: str, asked: Any
) -> None:
    environment = ActivityEnvironment()
    async with activities() as local:
        waiting = asyncio.ensure_future(environment.run(getattr(local, name), asked))
        await asyncio.sleep(0)
        environment.worker_shutdown()
        with pytest.raises(ApplicationError) as caught:
            await waiting
    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay > AT_ONCE
    assert not caught.value.non_retryable


@pytest.mark.parametrize("attempt", [1, 3, 4])
async def test_an_evaluation_without_cpu_time_is_begun_again_three_times(
    attempt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "_LOOK", 0.01)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    async with activities(far=0.1) as local:
        if attempt < 4:
            with pytest.raises(Starved):
                await environment.run(local.evaluate, ASKED)
        else:
            with pytest.raises(ApplicationError, match="too little CPU time") as caught:
                await environment.run(local.evaluate, ASKED)
            assert caught.value.non_retryable
