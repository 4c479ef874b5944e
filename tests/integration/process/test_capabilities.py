from __future__ import annotations

import asyncio
from typing import Any

from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.bad_input.rows import bomb
from tests.cases.scenario import STANDARD, Scenario
from tests.integration.process.executor import Executor

NAME = "aug:/capabilities/x"
FROZEN = {NAME: "main@capabilities/x?1"}
INTEGER = {"schema": {"document": {"type": "object", "properties": {"n": {"type": "integer"}}}}}


async def capability(executor: Executor, **solution: Any) -> None:
    draft = Draft(type=VibeType.CAPABILITY, id="capabilities/x", solution=solution)
    await executor.services.refine(draft)


def calls(**arguments: Any) -> Scenario:
    return Scenario(
        "calls", [{"a": {"call": NAME, **({"with": arguments} if arguments else {})}}], input={"n": 1}
    )


async def test_a_capability_takes_arguments_and_gives_its_output(executor: Executor) -> None:
    executor.web.script({"/double/21": [(200, {"value": 42})]})
    endpoint = f"{executor.web.base}/double/{{n}}"
    await capability(
        executor,
        call="http",
        **{"with": {"method": "get", "endpoint": endpoint}},
        input=INTEGER,
        output={"as": "${ {n: .value} }", **INTEGER},
    )
    handle = await executor.start(await executor.process(calls(n=21)), frozen=FROZEN)
    assert await executor.output(handle) == {"n": 42}
    made = await executor.services.refinery.get_refinement(vibe_ref=(await handle.result()).result_ref)
    assert "main@capabilities/x?1" in made.instruction_refs


async def test_a_capability_refuses_what_does_not_fit_its_schemas(executor: Executor) -> None:
    executor.web.script({"/x": [(200, {"n": "one"})]})
    what = {"method": "get", "endpoint": f"{executor.web.base}/x"}
    await capability(executor, call="http", **{"with": what}, input=INTEGER, output=INTEGER)
    problem = await executor.carry_out(calls(n="two"), frozen=FROZEN)
    assert (problem["type"], problem["instance"]) == (STANDARD + "validation", "/do/0/a")
    assert executor.web.asked == []
    problem = await executor.carry_out(calls(n=2), frozen=FROZEN)
    assert (problem["type"], problem["instance"]) == (STANDARD + "validation", "/do/0/a")
    assert "main@capabilities/x?1" in problem["detail"]


async def test_arguments_that_their_schema_asks_too_often_fault_and_hold_nobody_up(
    executor: Executor,
) -> None:
    schema, arguments = bomb(40)
    what = {"method": "get", "endpoint": f"{executor.web.base}/x"}
    await capability(executor, call="http", **{"with": what}, input={"schema": {"document": schema}})
    other = Scenario("other", [{"a": {"set": {"n": 2}}}])
    problem, output = await asyncio.gather(
        executor.carry_out(calls(**arguments), frozen=FROZEN), executor.carry_out(other)
    )
    assert (problem["type"], problem["instance"]) == (STANDARD + "validation", "/do/0/a")
    assert "more than 500,000 times" in problem["detail"]
    assert output == {"n": 2}


async def test_a_process_commits_in_its_middle_once_and_reads_it_back(executor: Executor) -> None:
    await capability(executor, call="python", **{"with": {"function": "refinery.refine"}})
    draft = {"type": "RECORD", "id": "made/by-a-process", "solution": {"n": "${ .n }"}}
    handle = await executor.start(await executor.process(calls(drafts=[draft])), {"n": 1}, frozen=FROZEN)
    assert await executor.output(handle) == {"refs": ["main@made/by-a-process?1"]}
    vibe = await executor.services.refinery.get_vibe("main@made/by-a-process?1")
    assert vibe.solution == {"n": 1}


async def test_what_the_ledger_refuses_is_an_error_that_can_be_caught(executor: Executor) -> None:
    await capability(executor, call="python", **{"with": {"function": "refinery.get_vibe"}})
    problem = await executor.carry_out(calls(reference="main@nowhere?1"), frozen=FROZEN)
    assert (problem["status"], problem["title"]) == (404, "VIBE_NOT_FOUND")


async def test_a_python_function_that_nobody_registered_is_an_error(executor: Executor) -> None:
    await capability(executor, call="python", **{"with": {"function": "nobody.knows"}})
    problem = await executor.carry_out(calls(n=1), frozen=FROZEN)
    assert problem["type"] == STANDARD + "configuration"
