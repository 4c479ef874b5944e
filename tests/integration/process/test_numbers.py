"""Every number of one table, through a process: input, expressions, calls, a child, the result."""

from __future__ import annotations

from typing import Any

import orjson

from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_core.vibe.documents import parse
from tests.cases.numbers import KEPT
from tests.integration.process.conftest import Processes
from tests.integration.process.test_calling_alone import asked as call
from tests.integration.process.test_executions import asked, finished

LITERALS = f"[{','.join(KEPT)}]"
CANONICAL = parse(LITERALS)
LARGE = 9007199254740993


async def run(processes: Processes, do: list[Any], input_: str) -> tuple[pb.Execution, Any]:
    process = await processes.process("processes/numbers", do)
    request = asked(process)
    request.input.CopyFrom(Document(json=input_))
    execution = await finished(processes, (await processes.stub.ExecuteProcess(request)).execution.id)
    if not execution.result_ref:
        return execution, None
    return execution, (await processes.services.refinery.get_vibe(execution.result_ref)).solution


async def test_a_process_passes_every_number_on_as_it_is(processes: Processes) -> None:
    await processes.process("processes/child", [{"back": {"set": {"given": "${ [.[] | .] }"}}}])
    processes.web.script({"/echo": [(200, orjson.Fragment(LITERALS))]})
    endpoint = f"{processes.web.base}/echo"
    keep: Any = {"export": {"as": "${ $context + {($task.name): .} }"}}
    do: list[Any] = [
        {"path": {"set": "${ .numbers }", **keep, "output": {"as": "${ . }"}}},
        {"jq": {"set": {"all": "${ [.[] | .] | map(.) }"}, **keep}},
        {
            "web": {
                "call": "http",
                "with": {"method": "post", "endpoint": endpoint, "body": "${ .all }"},
                **keep,
            }
        },
        {"child": {"run": {"workflow": {"name": "aug:/processes/child", "input": "${ . }"}}, **keep}},
        {
            "each": {
                "for": {"each": "n", "in": "${ .given }"},
                "do": [{"one": {"set": {"n": "${ $n }"}}}],
                **keep,
            }
        },
        {"say": {"set": "${ $context }"}},
    ]
    execution, solution = await run(processes, do, f'{{"numbers": {LITERALS}}}')
    assert execution.state == pb.EXECUTION_STATE_COMPLETED, execution
    all_ = CANONICAL.value
    expected = {
        "path": all_, "jq": {"all": all_}, "web": all_, "child": {"given": all_}, "each": {"n": all_[-1]},
    }  # fmt: skip
    assert solution == expected
    assert orjson.dumps(solution, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        expected, option=orjson.OPT_SORT_KEYS
    ), "also whether each is an integer"
    assert parse(processes.web.bodies[0]) == CANONICAL


async def test_a_capability_passes_every_number_on_as_it_is(processes: Processes) -> None:
    processes.functions["tests.echo"] = lambda arguments, _: arguments
    echo = {"call": "python", "with": {"function": "tests.echo", "arguments": {"all": "${ map(.) }"}}}
    await processes.capability(echo)
    for metadata in ((), (("document-form", "value"),)):
        request = call(input_=[])
        request.input.CopyFrom(Document(json=LITERALS))
        answer = await processes.stub.CallCapability(request, metadata=metadata)
        assert parse(answer.output.json).value == {"all": CANONICAL.value}


async def test_a_switch_and_a_url_see_all_digits(processes: Processes) -> None:
    processes.web.script({f"/items/{LARGE}": [(200, {"found": LARGE})]})
    do: list[Any] = [
        {"which": {"switch": [
            {"wrong": {"when": f"${{ .id == {LARGE - 1} }}", "then": "end"}},
            {"right": {"when": f"${{ .id == {LARGE} }}", "then": "get"}},
        ]}},
        {"never": {"set": {"never": True}}},
        {"get": {"call": "http", "with": {"method": "get", "endpoint": processes.web.base + "/items/{id}"}}},
    ]  # fmt: skip
    _, solution = await run(processes, do, f'{{"id": {LARGE}}}')
    assert solution == {"found": LARGE}
    do[-1] = {
        "get": {
            "call": "http",
            "with": {"method": "get", "endpoint": f'${{ "{processes.web.base}/items/\\(.id)" }}'},
        }
    }
    _, solution = await run(processes, do, f'{{"id": {LARGE}}}')
    assert solution == {"found": LARGE}


async def test_a_number_that_jq_would_round_is_a_fault_and_nothing_is_committed(processes: Processes) -> None:
    execution, _ = await run(processes, [{"a": {"set": {"next": "${ .id + 1 }"}}}], f'{{"id": {LARGE}}}')
    assert execution.state == pb.EXECUTION_STATE_FAULTED
    assert "jq computes with doubles" in execution.problem.detail


async def test_an_answer_with_a_number_that_cannot_be_kept_is_a_fault(processes: Processes) -> None:
    for number in ("18446744073709551616", "0.10000000000000000001"):
        processes.web.script({"/x": [(200, orjson.Fragment(f'{{"n": [{number}]}}'))]})
        get = {"call": "http", "with": {"method": "get", "endpoint": f"{processes.web.base}/x"}}
        execution, _ = await run(processes, [{"a": get}], "{}")
        assert execution.state == pb.EXECUTION_STATE_FAULTED
        assert "$.n[0]" in execution.problem.detail
