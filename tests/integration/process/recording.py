"""Records the stored histories anew: `make histories`. pytest runs this file only where it is named."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow

from process_worker.workflow.keys import temporal_schedule_id
from refinery_client import ABSENT, Refinery
from tests.cases.scenario import WORLD
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.executor import Executor
from tests.integration.process.replaying import histories
from tests.integration.process.test_workflow import fits
from tests.replay import corpus
from tests.replay.case import Case
from tests.replay.cases import CASES, FIRING
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_record(case: Case, executor: Executor) -> None:
    await record(executor, case, corpus.path(case.name))


async def test_record_a_firing(processes: Processes) -> None:
    await processes.process("processes/often", [{"a": {"set": {"n": 1}}}], schedule={"cron": "0 0 29 2 *"})
    async with Refinery.connect(process=processes.address) as client, asyncio.timeout(PATIENCE):
        made = (await client.schedule_process("aug:/processes/often", author_ref=AUTHOR)).schedule
        schedule = processes.temporal.get_schedule_handle(temporal_schedule_id(made.id))
        await schedule.trigger()
        while not (fired := (await schedule.describe()).info.recent_actions):
            await asyncio.sleep(0.05)
        assert isinstance(fired[0].action, ScheduleActionExecutionStartWorkflow)
        workflow_id = fired[0].action.workflow_id
        await processes.temporal.get_workflow_handle(workflow_id).result()
    corpus.write(corpus.path(FIRING), await histories(processes.temporal, workflow_id), {})


async def record(executor: Executor, case: Case, file: Path) -> None:
    """Carry a case out, see that it comes to what it should, and store its history."""

    def here(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(WORLD, executor.web.base))

    scenario = case.scenario
    executor.web.script(scenario.answers)
    executor.web.delay = case.delay
    frozen: dict[str, str] = {}
    for uri, draft in case.vibes.items():
        solution = draft.solution if draft.solution is ABSENT else here(draft.solution)
        (frozen[uri],) = await executor.services.refine(replace(draft, solution=solution))
    given, input_ref = here(scenario.input), None
    if case.by_ref:
        given, input_ref = None, await executor.services.record("inputs/1", solution=given)
    handle = await executor.start(
        await executor.process(scenario),
        given,
        input_ref=input_ref,
        frozen=frozen,
        max_history=case.max_history,
    )
    for event in scenario.events:
        await executor.deliver(handle, event)
    if case.steering is not None:
        await case.steering(executor, handle)
    outcome = await executor.outcome(handle)
    assert fits(scenario, outcome), outcome
    assert scenario.calls in (None, executor.web.asked)
    host = executor.web.base.rpartition(":")[0].removeprefix("http://")
    hidden = {executor.web.base: WORLD, host: WORLD.removeprefix("http://")}
    corpus.write(file, await histories(executor.client, handle.id), hidden)
