"""The schema of a Process Vibe holds for its input and its result."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from refinery_client import Execution, ExecutionState, LineageDirection, Refinery
from refinery_core.errors import SolutionInvalid
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.support.waiting import PATIENCE

INPUT = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
RESULT = {"type": "object", "required": ["total"], "properties": {"total": {"maximum": 100}}}
ADD: list[Any] = [{"add": {"set": {"total": "${ .n + 1 }"}}}]


async def executed(client: Refinery, process: str, input_: Any, **fields: Any) -> Execution:
    started = await client.execute_process(process, author_ref=AUTHOR, input=input_, **fields)
    async with asyncio.timeout(PATIENCE):
        async for news in client.watch_execution(started.execution.id):
            last = news.execution
    assert last is not None
    return last


async def test_an_input_that_does_not_satisfy_the_schema_is_refused_and_changes_nothing(
    processes: Processes, client: Refinery
) -> None:
    process = await processes.process("processes/add", ADD, schema={"properties": {"input": INPUT}})
    for input_, path in (({"n": "seven"}, "/n"), ({}, ""), ({"n": "x" * 400_000}, "/n")):
        with pytest.raises(SolutionInvalid) as refused:
            await client.execute_process(process, author_ref=AUTHOR, input=input_)
        assert refused.value.metadata["field"] == "input"
        assert [violation.instance_path for violation in refused.value.violations] == [path]
    assert [each async for each in processes.services.refinery.list_vibes(id_prefix="executions/")] == []
    assert [each async for each in client.list_executions(process_ref=process)] == []


async def test_a_refusal_of_an_input_names_the_places_of_the_input(
    processes: Processes, client: Refinery
) -> None:
    numbers = {name: {"type": "integer"} for name in ("input", "inputs")}
    schema = {"properties": {"input": {"properties": numbers}}}
    process = await processes.process("processes/add", ADD, schema=schema)
    for padding in ("", "x" * 400_000):
        with pytest.raises(SolutionInvalid) as refused:
            input_ = {"input": "one", "inputs": "two", "padding": padding}
            await client.execute_process(process, author_ref=AUTHOR, input=input_)
        assert {violation.instance_path for violation in refused.value.violations} == {"/input", "/inputs"}


async def test_a_large_input_has_to_satisfy_it_too_and_does(processes: Processes, client: Refinery) -> None:
    process = await processes.process("processes/add", ADD, schema={"properties": {"input": INPUT}})
    done = await executed(client, process, {"n": 1, "padding": "x" * 400_000})
    assert done.state is ExecutionState.COMPLETED
    record = await processes.services.refinery.get_vibe(f"main@executions/{done.id}/input?1")
    assert record.schema_refs == (f"aug:{process}#/properties/input",)


async def test_a_result_that_does_not_satisfy_the_schema_faults_the_execution(
    processes: Processes, client: Refinery
) -> None:
    process = await processes.process("processes/add", ADD, schema={"properties": {"result": RESULT}})
    done = await executed(client, process, {"n": 100})
    assert done.state is ExecutionState.FAULTED
    assert done.problem is not None
    assert done.problem.type.endswith("/validation")
    assert "/total: 101 is greater than the maximum of 100" in done.problem.detail
    results = [
        each async for each in processes.services.refinery.list_vibes(id_prefix="processes/add/results")
    ]
    assert results == []


async def test_records_and_results_depend_on_the_process_whose_schema_they_satisfy(
    processes: Processes, client: Refinery
) -> None:
    schema = {"properties": {"input": INPUT, "result": RESULT}}
    process = await processes.process("processes/add", ADD, schema=schema)
    done = await executed(client, process, {"n": 1})
    assert done.result_ref is not None
    for ref, part in ((done.record_ref, "input"), (done.result_ref, "result")):
        vibe = await processes.services.refinery.get_vibe(ref)
        assert vibe.schema_refs == (f"aug:{process}#/properties/{part}",)
    dependents = processes.services.refinery.list_dependents(process)
    assert {each.ref async for each in dependents} == {done.record_ref, done.result_ref}


async def test_the_schemas_of_a_process_and_of_its_output_hold_both(
    processes: Processes, client: Refinery
) -> None:
    await processes.services.record("schemas/even", schema={"properties": {"total": {"multipleOf": 2}}})
    process = await processes.process(
        "processes/add",
        ADD,
        schema={"properties": {"result": RESULT}},
        output={"schema": {"format": "json", "resource": {"endpoint": "aug:/schemas/even"}}},
    )
    problems = {
        n: (await executed(client, process, {"n": n}, result_id=f"r/{n}")).problem for n in (1, 2, 101)
    }
    assert problems[1] is None
    assert problems[2] is not None
    assert "/total: 3 is not a multiple of 2" in problems[2].detail
    assert problems[101] is not None
    assert "greater than the maximum of 100" in problems[101].detail


async def test_an_execution_that_another_one_runs_is_one_like_any_other(
    processes: Processes, client: Refinery
) -> None:
    schema = {"properties": {"input": INPUT, "result": RESULT}}
    name = f"processes/{uuid.uuid4()}"  # Executions of other tests are in the same Temporal.
    inner = await processes.process(name, ADD, schema=schema)
    run = {"run": {"workflow": {"name": f"aug:/{name}", "input": {"n": "${ .n }"}}}}
    outer = await processes.process("processes/outer", [{"run": run}])
    done = await executed(client, outer, {"n": 1})
    assert done.state is ExecutionState.COMPLETED
    async with asyncio.timeout(PATIENCE):  # Temporal's list lags behind.
        while not (children := [each async for each in client.list_executions(process_ref=inner)]):
            await asyncio.sleep(0.05)
    (child,) = children
    assert child.state is ExecutionState.COMPLETED
    assert child.record_ref == f"main@executions/{child.id}?1"
    record = await processes.services.refinery.get_vibe(child.record_ref)
    assert (record.solution["input"], record.solution["parent_ref"]) == ({"n": 1}, done.record_ref)
    assert (await client.get_execution(child.id)).execution.result_ref == child.result_ref
    assert done.result_ref is not None
    above = processes.services.refinery.trace_lineage(done.result_ref, direction=LineageDirection.UP)
    assert {step.ref async for step in above} >= {outer, inner, done.record_ref, child.record_ref}


async def test_an_input_that_the_inner_process_refuses_faults_the_task_that_runs_it(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/inner", ADD, schema={"properties": {"input": INPUT}})
    run = {"run": {"workflow": {"name": "aug:/processes/inner", "input": {"n": "${ .word }"}}}}
    outer = await processes.process("processes/outer", [{"run": run}])
    done = await executed(client, outer, {"word": "seven"})
    assert done.problem is not None
    assert done.problem.type.endswith("/validation")
    assert done.problem.instance == "/do/0/run"
    assert "input: the solution does not satisfy its schema" in done.problem.detail
    records = processes.services.refinery.list_vibes(id_prefix="executions/")
    assert [each.ref async for each in records] == [done.record_ref]


async def test_the_request_of_an_inner_execution_cannot_be_taken_over(
    processes: Processes, client: Refinery
) -> None:
    await processes.process("processes/inner", ADD)
    run = {"run": {"workflow": {"name": "aug:/processes/inner", "input": {"n": 1}}}}
    outer = await processes.process("processes/outer", [{"run": run}])
    done = await executed(client, outer, {}, request_id=uuid.uuid4())
    records = [each async for each in processes.services.refinery.list_vibes(id_prefix="executions/")]
    (child,) = (each for each in records if each.ref != done.record_ref)
    with pytest.raises(Exception, match="was committed with other content"):
        await client.execute_process(
            "aug:/processes/inner", author_ref=AUTHOR, request_id=uuid.UUID(child.id.split("/")[1])
        )
