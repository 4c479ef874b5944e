from __future__ import annotations

import sysconfig
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.cases.scenario import STANDARD, Scenario, listen, says, typed
from tests.integration.conftest import Services
from tests.integration.process.executor import Executor, executing


@pytest.fixture
async def hasty(services: Services) -> AsyncIterator[Executor]:
    """On a Temporal whose time flies while all workflows wait."""
    program = str(Path(sysconfig.get_path("scripts"), "temporal-test-server"))
    async with (
        await WorkflowEnvironment.start_time_skipping(test_server_existing_path=program) as environment,
        executing(services, environment.client) as executor,
    ):
        yield executor


async def test_a_month_passes_in_a_moment(hasty: Executor) -> None:
    retry = {"delay": "P7D", "backoff": {"linear": {}}, "limit": {"attempt": {"count": 2}}}
    raising = {"raise": {"error": {"type": "urn:x", "status": 500}}}
    week = {"listen": {"to": {"one": typed()}}, "timeout": {"after": {"days": 7}}}
    scenarios = {
        "wait": Scenario("wait", [{"w": {"wait": "P30D"}}, {"a": says(n=1)}], output={"n": 1}),
        "retry": Scenario(
            "retry",
            [{"t": {"try": [{"a": raising}], "catch": {"retry": retry, "do": [{"b": says(n=2)}]}}}],
            output={"n": 2},
        ),
        "listen": Scenario("listen", [{"l": week}]),
        "whole": Scenario("whole", listen({"one": typed()}), top={"timeout": {"after": "P365D"}}),
    }
    for name in ("wait", "retry"):
        assert await hasty.carry_out(scenarios[name]) == scenarios[name].output
    for name in ("listen", "whole"):
        assert (await hasty.carry_out(scenarios[name]))["type"] == STANDARD + "timeout"


async def test_thirty_days_pass_in_less_than_a_second(hasty: Executor) -> None:
    ref = await hasty.process(Scenario("wait", [{"w": {"wait": "P30D"}}]))
    lengths: list[float] = []
    while not lengths or (min(lengths) >= 1 and len(lengths) < 20):  # The machine may be busy once.
        started = time.monotonic()
        await (await hasty.start(ref)).result()
        lengths.append(time.monotonic() - started)
    assert min(lengths) < 1
