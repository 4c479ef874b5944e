from __future__ import annotations

import uuid
from typing import Any

import pytest

from process_worker.records.ledger import Ledger
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import Draft, Vibe
from refinery_core.fields import MAX_LINE
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import asked, finished, reason


async def capability(processes: Processes, id_: str) -> str:
    what = {"method": "get", "endpoint": "http://127.0.0.1:9/"}
    return await processes.capability({"call": "http", "with": what}, id_)


async def test_references_are_frozen_through_the_processes_that_are_run(processes: Processes) -> None:
    translate = await capability(processes, "capabilities/translate")
    inner = await processes.process("processes/inner", [{"t": {"call": "aug:/capabilities/translate"}}])
    run = {"workflow": {"name": "aug:/processes/inner"}}
    await processes.process("processes/outer", [{"i": {"run": run}}])
    started = await processes.stub.ExecuteProcess(asked("aug:/processes/outer"))
    record = await processes.services.refinery.get_vibe(started.execution.record_ref)
    assert record.solution["frozen"] == {
        "aug:/capabilities/translate": translate,
        "aug:/processes/inner": inner,
    }


async def test_the_record_keeps_what_was_asked_and_what_it_meant(processes: Processes) -> None:
    first = await capability(processes, "capabilities/translate")
    process = await processes.process("processes/p", [{"t": {"call": "aug:/capabilities/translate"}}])
    request = asked("aug:/processes/p", {"a": 1})
    started = await processes.stub.ExecuteProcess(request)
    await capability(processes, "capabilities/translate")
    await finished(processes, request.request_id)
    record = await processes.services.refinery.get_vibe(started.execution.record_ref)
    assert record.solution["frozen"] == {"aug:/capabilities/translate": first}
    assert record.solution["asked"]["process"] == "aug:/processes/p"
    assert record.solution["process_ref"] == process
    refinement = await processes.services.refinery.get_refinement(vibe_ref=record.ref)
    assert refinement.request_id == uuid.UUID(request.request_id)
    assert refinement.target_refs == (process,)
    assert refinement.instruction_refs == (first,)


async def test_what_is_no_process_is_refused(processes: Processes) -> None:
    record = await processes.services.record("orders/1", solution=1)
    (empty,) = await processes.services.refine(Draft(type=VibeType.PROCESS, id="processes/empty"))
    for ref, problem in (
        (record, "it is a RECORD, not a PROCESS"),
        (empty, "it has no solution"),
        (await capability(processes, "capabilities/c"), "it is a CAPABILITY, not a PROCESS"),
    ):
        refused = await reason(processes.stub.ExecuteProcess(asked(ref)))
        assert refused == ("PROCESS_NOT_EXECUTABLE", {"ref": ref, "problem": problem})


async def test_what_a_process_calls_needs_to_be_a_capability(processes: Processes) -> None:
    await processes.services.record("orders/1", solution=1)
    ref = await processes.process("processes/p", [{"t": {"call": "aug:/orders/1"}}])
    _, metadata = await reason(processes.stub.ExecuteProcess(asked("aug:/processes/p")))
    assert metadata["ref"] == ref
    assert metadata["problem"].endswith("'aug:/orders/1' is a RECORD, not a CAPABILITY")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"process": "aug:/none"}, ("VIBE_NOT_FOUND", {"reference": "aug:/none"})),
        (
            {"target_refs": ["aug:/p", "aug:/none"]},
            ("UNKNOWN_REFERENCE", {"field": "target_refs[1]", "reference": "aug:/none"}),
        ),
        (
            {"author_ref": "aug:/none"},
            ("UNKNOWN_REFERENCE", {"field": "author_ref", "reference": "aug:/none"}),
        ),
        ({"branch": "dev"}, ("BRANCH_NOT_FOUND", {"branch": "dev"})),
        (
            {"process": "aug:/q"},
            ("UNKNOWN_REFERENCE", {"field": "process", "reference": "aug:/missing"}),
        ),
    ],
)
async def test_what_does_not_exist_is_refused_and_nothing_is_recorded(
    processes: Processes, change: dict[str, Any], refusal: tuple[str, dict[str, str]]
) -> None:
    await processes.process("p")
    await processes.process("q", [{"t": {"call": "aug:/missing"}}])
    request = asked(**{"process": "aug:/p", **change})
    assert await reason(processes.stub.ExecuteProcess(request)) == refusal
    assert len(await processes.services.rows("select 1 from refinery.refinements")) == SEEDED + 2


async def test_a_process_whose_results_nobody_could_refer_to_is_not_begun(processes: Processes) -> None:
    long = "p" * (MAX_LINE - len("main/results/") - 35)
    await processes.process(long)
    refused = await reason(processes.stub.ExecuteProcess(asked(f"aug:/{long}")))
    assert (refused[0], refused[1]["field"]) == ("INVALID_FIELD", "result_id")
    run = {"workflow": {"namespace": "t", "name": f"aug:/{long}", "version": "1.0.0"}}
    await processes.process("processes/parent", [{"r": {"run": run}}])
    request = asked("aug:/processes/parent")
    await processes.stub.ExecuteProcess(request)
    problem = (await finished(processes, request.request_id)).problem
    assert (problem.title, problem.instance) == ("INVALID_FIELD", "/do/0/r")
    assert problem.type.endswith("/validation")


async def test_an_input_that_is_no_document_is_a_fault_at_once(processes: Processes) -> None:
    await processes.process("processes/child")
    large = {"input": {"a": "${ .t }", "b": "${ .t }"}}
    run = {"workflow": {"namespace": "t", "name": "aug:/processes/child", "version": "1.0.0", **large}}
    tasks: list[Any] = [{"a": {"set": {"t": '${ "x" * 600000 }'}}}, {"r": {"run": run}}]
    await processes.process("processes/parent", tasks)
    request = asked("aug:/processes/parent")
    await processes.stub.ExecuteProcess(request)
    problem = (await finished(processes, request.request_id)).problem
    assert (problem.title, problem.status, problem.instance) == ("INVALID_DOCUMENT", 400, "/do/1/r")
    assert problem.detail.startswith("input: the document is refused at $: it has more than")


async def with_schemas(processes: Processes, count: int, names: int) -> str:
    """Execute a process of so many tasks, each with one of so many large schemas; say its id."""
    for name in range(names):
        await processes.services.record(f"schemas/{name}", schema={"description": "x" * 900_000})
    schemas = [{"resource": {"endpoint": f"aug:/schemas/{at % names}"}} for at in range(count)]
    tasks = [{f"t{at}": {"set": {"n": at}, "output": {"schema": each}}} for at, each in enumerate(schemas)]
    await processes.process("processes/large", tasks)
    request = asked("aug:/processes/large")
    await processes.stub.ExecuteProcess(request)
    return request.request_id


async def test_a_schema_that_many_tasks_have_travels_once(processes: Processes) -> None:
    id_ = await with_schemas(processes, 100, 1)
    assert (await finished(processes, id_)).state is pb.EXECUTION_STATE_COMPLETED
    kept = processes.services.refinery.list_vibes(id_prefix=f"executions/{id_}/payloads/")
    assert len([vibe async for vibe in kept]) <= 4


async def test_schemas_that_are_too_large_together_are_a_clear_fault(processes: Processes) -> None:
    ended = await finished(processes, await with_schemas(processes, 10, 5))
    assert ended.state is pb.EXECUTION_STATE_FAULTED
    assert ended.problem.detail == "the schemas have more than 4194304 bytes together"


async def test_each_vibe_is_read_once(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    translate = await capability(processes, "capabilities/translate")
    calls = [{f"t{at}": {"call": "aug:/capabilities/translate"}} for at in range(3)]
    inner = await processes.process("processes/inner", calls)
    run = {"run": {"workflow": {"name": "aug:/processes/inner"}}}
    schema = {"properties": {"input": {"type": "object"}}}
    outer = await processes.process("processes/outer", [{"i": run}, {"j": run}, *calls], schema=schema)
    real, read = Ledger.vibe, list[str]()

    async def counted(self: Ledger, ref: str) -> Vibe:
        read.append(ref)
        return await real(self, ref)

    monkeypatch.setattr(Ledger, "vibe", counted)
    await processes.stub.ExecuteProcess(asked("aug:/processes/outer"))
    assert sorted(read) == sorted([translate, inner, outer])
