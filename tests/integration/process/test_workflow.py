from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.cases.scenario import WORLD, Scenario
from tests.cases.scenarios import CALLS, DATA, ERRORS, EVENTS, FLOW
from tests.integration.process.executor import Executor


def fits(scenario: Scenario, outcome: Any) -> bool:
    if scenario.fault is None:
        return bool(outcome == scenario.output)
    return isinstance(outcome, dict) and outcome.items() >= scenario.fault.items()


async def check(executor: Executor, scenarios: list[Scenario], **fields: Any) -> None:
    for scenario in scenarios:
        executor.web.script(scenario.answers)
    outcomes = await asyncio.gather(*(executor.carry_out(scenario, **fields) for scenario in scenarios))
    wrong = {s.name: o for s, o in zip(scenarios, outcomes, strict=True) if not fits(s, o)}
    assert not wrong


@pytest.mark.parametrize("scenarios", [DATA, FLOW, ERRORS, EVENTS], ids=["data", "flow", "errors", "events"])
async def test_processes_come_to_what_they_come_to_without_temporal(
    scenarios: list[Scenario], executor: Executor
) -> None:
    # The world of these does not matter, except that the web may be asked by all of them.
    await check(executor, [s for s in scenarios if "world.test" not in json.dumps(s.input)])


async def test_calls_are_made_as_often_as_the_process_says(executor: Executor) -> None:
    for scenario in CALLS:
        if "world.test" in json.dumps(scenario.do).replace(WORLD, ""):
            continue  # Its address is made by an expression.
        executor.web.answers.clear()
        executor.web.asked.clear()
        executor.web.script(scenario.answers)
        outcome = await executor.carry_out(scenario)
        assert fits(scenario, outcome), (scenario.name, outcome)
        if scenario.calls is not None:
            assert executor.web.asked == scenario.calls, scenario.name
