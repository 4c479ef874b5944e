from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError

from process_worker.engine.calls import HttpCall
from process_worker.engine.contract import Delivery
from process_worker.engine.ports import Request
from process_worker.jq.evaluator import Evaluator
from process_worker.jq.parent import Child
from process_worker.workflow.messages import DELIVER
from process_worker.workflow.replayed import Evaluation, Replayed
from tests.cases.scenario import STANDARD, Scenario, event, fails, get, says, typed
from tests.cases.scenarios import ERRORS, FLOW
from tests.integration.process.executor import Executor, progress
from tests.integration.process.replaying import replay
from tests.support.waiting import PATIENCE, until

BOMB = "${ [range(1000000) | range(1000000)] | length }"


async def runs(executor: Executor, execution: str) -> int:
    handle, count = executor.client.get_workflow_handle(execution), 1
    run = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    while run:
        events = (await executor.client.get_workflow_handle(execution, run_id=run).fetch_history()).events
        run = events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        count += bool(run)
    return count


LOOP = Scenario(
    "loop",
    [
        {
            "f": {
                "for": {"in": "${ [range(8)] }", "each": "x"},
                "do": [
                    {
                        "t": {
                            "try": [{"a": get("/a")}, {"b": get("/b")}],
                            "catch": {"retry": {"limit": {"attempt": {"count": 2}}}},
                        }
                    },
                    {"s": {**says(sum="${ ($context.sum // 0) + $x }"), "export": {"as": "${ . }"}}},
                ],
            }
        }
    ],
    answers={"/a": [(200, 1)], "/b": [(503, None), (200, 1), (503, None), (200, 2)]},
    output={"sum": 28},
)


async def test_a_long_execution_goes_on_in_new_runs(executor: Executor, evaluator: Evaluator) -> None:
    executor.web.script(LOOP.answers)
    handle = await executor.start(await executor.process(LOOP), max_history=40)
    assert await executor.output(handle) == {"sum": 28}
    assert executor.web.asked.count("/a") == 10
    assert executor.web.asked.count("/b") == 10
    keys = [headers["idempotency-key"] for headers in executor.web.headers]
    assert len(set(keys)) == len(keys)
    assert await runs(executor, handle.id) > 2
    numbers = [each.number for each in (await progress(handle)).events]
    assert numbers == list(range(1, len(numbers) + 1))
    await replay(executor.client, handle, evaluator)


async def test_new_runs_change_nothing_that_a_process_comes_to(executor: Executor) -> None:
    scenarios = [s for s in (*FLOW, *ERRORS) if s.fault is None][::6]
    outcomes = await asyncio.gather(*(executor.carry_out(s, max_history=1) for s in scenarios))
    assert outcomes == [s.output for s in scenarios]


async def test_two_thousand_steps_of_computing(executor: Executor, evaluator: Evaluator) -> None:
    loop = Scenario(
        "loop", [{"f": {"for": {"in": "${ [range(2000)] }"}, "do": [{"a": says(n="${ .n + 1 }")}]}}]
    )
    ref = await executor.process(loop)
    started = time.monotonic()
    handle = await executor.start(ref, {"n": 0})
    assert await executor.output(handle) == {"n": 2000}
    print(f"{2000 / (time.monotonic() - started):,.0f} steps per second")
    await replay(executor.client, handle, evaluator)


async def test_an_expression_that_had_to_be_killed_is_an_error_and_replays(
    executor: Executor, evaluator: Evaluator
) -> None:
    catch = {"errors": {"with": {"type": STANDARD + "expression"}}, "do": [{"b": says(killed=True)}]}
    bomb = Scenario("bomb", [{"t": {"try": [{"a": says(n=BOMB)}], "catch": catch}}])
    other = Scenario("other", [{"w": {"wait": {"milliseconds": 1}}}, {"a": says(n="${ 1 + 1 }")}])
    handle = await executor.start(await executor.process(bomb))
    innocent = [await executor.carry_out(other) for _ in range(5)]
    assert innocent == [{"n": 2}] * 5
    assert await executor.outcome(handle) == {"killed": True}
    await replay(executor.client, handle, evaluator)


async def test_an_innocent_expression_that_takes_long_is_computed_once_and_replays(
    executor: Executor, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytes] = []
    give = Child.give

    def counted(child: Child, request: bytes) -> None:
        given.append(request)
        give(child, request)

    monkeypatch.setattr(Child, "give", counted)
    slow = Scenario("slow", [{"a": says(n="${ reduce range(900000) as $i (0; . + 1) }")}])
    handle = await executor.start(await executor.process(slow))
    assert await executor.output(handle) == {"n": 900_000}
    assert sum(b"900000" in request for request in given) == 1
    await replay(executor.client, handle, evaluator)


async def test_a_slow_moment_is_remembered_and_not_lived_again(
    executor: Executor, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once, everything is killed at first; when it is replayed, all goes well, and nothing diverges.
    from process_worker.engine.ports import Killed

    def killed(*_: Any) -> Any:
        raise Killed("as if the machine were busy")

    real = Replayed.__init__

    def busy(self: Replayed, *arguments: Any) -> None:
        real(self, *arguments)
        if not workflow.unsafe.is_replaying():
            self._evaluate = cast("Evaluation", killed)

    steps = [{"a": says(n="${ .n + 1 }")}, {"b": get("/x", input={"from": "${ {m: (.n + 1)} }"})}]
    scenario = Scenario("slow", [*steps, {"c": says(m="${ .n * 2 }")}], input={"n": 1})
    executor.web.script({"/x": [(200, {"n": 21})]})
    handle = await executor.start(await executor.process(scenario), scenario.input)
    with monkeypatch.context() as patched:
        patched.setattr(Replayed, "__init__", busy)
        slow = await executor.start(await executor.process(scenario), scenario.input)
        assert await executor.output(slow) == {"m": 42}
    assert await executor.output(handle) == {"m": 42}
    for each in (handle, slow):
        await replay(executor.client, each, evaluator)


async def test_another_engine_is_found_out(
    executor: Executor, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.web.script({"/x": [(200, 1)]})
    handle = await executor.start(await executor.process(Scenario("s", [{"a": get("/x")}])))
    assert await executor.output(handle) == 1

    async def sleepy(self: Replayed, request: Any) -> Any:
        await workflow.sleep(1)
        return await real(self, request)

    real = Replayed.perform
    with monkeypatch.context() as patched:
        patched.setattr(Replayed, "perform", sleepy)
        with pytest.raises(workflow.NondeterminismError):
            await replay(executor.client, handle, evaluator)

    async def other(self: Replayed, request: Request) -> Any:
        assert isinstance(request.call, HttpCall)
        return await real(self, replace(request, call=replace(request.call, uri="http://other.test/")))

    with monkeypatch.context() as patched:
        patched.setattr(Replayed, "perform", other)
        with pytest.raises(AssertionError):
            await replay(executor.client, handle, evaluator)


async def test_large_documents_stay_out_of_the_history(executor: Executor, evaluator: Evaluator) -> None:
    big = {"text": "x" * 700_000}
    executor.web.script({"/big": [(200, big)], "/next": [(200, {"ok": True})]})
    post = {
        "call": "http",
        "with": {"method": "post", "endpoint": "http://world.test/next", "body": "${ . }"},
    }
    scenario = Scenario(
        "big", [{"a": get("/big", export={"as": "${ . }"})}, {"b": post}, {"c": {"set": "${ $context }"}}]
    )
    handle = await executor.start(await executor.process(scenario))
    assert await executor.output(handle) == big
    history = await handle.fetch_history()
    assert sum(len(each.SerializeToString()) for each in history.events) < 60_000
    kept = [
        v.id
        async for v in executor.services.refinery.list_vibes(
            id_prefix=handle.id.replace("execution/", "executions/")
        )
    ]
    assert any("/payloads/" in id_ for id_ in kept)
    await replay(executor.client, handle, evaluator)


async def test_what_is_too_large_is_an_error(executor: Executor) -> None:
    executor.web.script({"/big": [(200, {"text": "x" * 1_100_000})]})
    problem = await executor.carry_out(Scenario("big", [{"a": get("/big")}]))
    assert problem["status"] == 502


async def test_an_execution_that_is_asked_to_stop_compensates_and_ends(
    executor: Executor, evaluator: Evaluator
) -> None:
    executor.web.script({"/undo": [(200, 1)]})
    catch = {"do": [{"w": {"wait": {"milliseconds": 5}}}, {"u": get("/undo")}]}
    branch = {"try": [{"l": {"listen": {"to": {"one": typed()}}}}], "catch": catch}
    saga = Scenario("saga", [{"f": {"fork": {"branches": [{"a": branch}, {"b": {"wait": "P1D"}}]}}}])
    handle = await executor.start(await executor.process(saga))

    async def listens() -> bool:
        return bool((await progress(handle)).listening)

    await until(listens)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert executor.web.asked == ["/undo"]
    assert (await progress(handle)).state == "CANCELLED"
    await replay(executor.client, handle, evaluator)


async def test_progress_says_what_is_under_way_and_what_happened(executor: Executor) -> None:
    branches = [
        {"a": {"listen": {"to": {"one": typed("a")}}}},
        {"b": {"listen": {"to": {"one": typed("b")}}}},
    ]
    scenario = Scenario("listens", [{"first": says(n=1)}, {"f": {"fork": {"branches": branches}}}])
    handle = await executor.start(await executor.process(scenario))

    async def listens() -> bool:
        return len((await progress(handle)).listening) == 2

    await until(listens)
    before = await progress(handle)
    assert before.state == "RUNNING"
    assert before.tasks == ["/do/1/f/fork/branches/0/a", "/do/1/f/fork/branches/1/b"]
    assert before.listening == [{"one": typed("a")}, {"one": typed("b")}]
    refs = [await executor.deliver(handle, event(name, name, data=name)) for name in ("b", "a")]
    repeated = Delivery(**event("a", "a", data="again"))
    assert await executor.output(handle) == [["a"], ["b"]]
    after = await progress(handle, before.last_number)
    assert [(each.kind, each.task) for each in after.events] == [
        ("TASK_ENDED", "/do/1/f/fork/branches/1/b"),
        ("TASK_ENDED", "/do/1/f/fork/branches/0/a"),
        ("TASK_ENDED", "/do/1/f"),
        ("EXECUTION_ENDED", ""),
    ]
    assert after.state == "COMPLETED"
    assert after.result_ref is not None
    made = await executor.services.refinery.get_refinement(vibe_ref=after.result_ref)
    assert set(made.target_refs) >= set(refs)
    with pytest.raises(RPCError):
        await handle.execute_update(DELIVER, repeated, result_type=bool)


async def test_a_fault_is_the_problem_of_the_failed_workflow(executor: Executor) -> None:
    problem = await executor.carry_out(Scenario("fault", [{"a": fails(503, detail="down")}]))
    assert problem == {
        "type": STANDARD + "communication",
        "status": 503,
        "title": "",
        "detail": "down",
        "instance": "/do/0/a",
    }


async def test_a_result_that_is_refused_is_a_fault(executor: Executor) -> None:
    await executor.services.record(
        "schemas/n", schema={"type": "object", "properties": {"n": {"type": "integer"}}}
    )
    top = {"output": {"schema": {"resource": {"endpoint": "aug:/schemas/n"}}}}
    frozen = {"aug:/schemas/n": "main@schemas/n?1"}
    wrong = await executor.carry_out(Scenario("s", [{"a": says(n="one")}], top=top), frozen=frozen)
    assert wrong["type"] == STANDARD + "validation"
    right = await executor.start(
        await executor.process(Scenario("s", [{"a": says(n=1)}], top=top)), frozen=frozen
    )
    vibe = await executor.services.refinery.get_vibe((await right.result()).result_ref)
    assert vibe.schema["$refResolved"] == "main@schemas/n?1"


async def test_a_process_runs_another(executor: Executor, evaluator: Evaluator) -> None:
    child = await executor.process(Scenario("child", [{"a": says(m="${ .n + 1 }")}]))
    bad = await executor.process(Scenario("bad", [{"a": fails(418)}]))
    frozen = {"aug:/child": child, "aug:/bad": bad}

    def run(name: str) -> dict[str, Any]:
        return {
            "run": {
                "workflow": {
                    "name": f"aug:/{name}",
                    "namespace": "x",
                    "version": "1.0.0",
                    "input": {"n": "${ .n }"},
                }
            }
        }

    handle = await executor.start(
        await executor.process(Scenario("p", [{"r": run("child")}])), {"n": 1}, frozen=frozen
    )
    assert await executor.output(handle) == {"m": 2}
    made = await executor.services.refinery.get_refinement(vibe_ref=(await handle.result()).result_ref)
    assert any("/results/" in ref for ref in made.target_refs)
    await replay(executor.client, handle, evaluator)
    problem = await executor.carry_out(Scenario("p", [{"r": run("bad")}], input={"n": 1}), frozen=frozen)
    assert problem["status"] == 418
    assert problem["instance"] == "/do/0/r"


async def test_what_a_process_emits_is_recorded_once(executor: Executor) -> None:
    record = await executor.services.record("executions/x", solution={})
    emit = {"emit": {"event": {"with": {"type": "org.x", "source": "urn:x", "data": {"n": "${ .n }"}}}}}
    handle = await executor.start(
        await executor.process(Scenario("e", [{"e": emit}])), {"n": 1}, record_ref=record
    )
    sent = await executor.output(handle)
    emitted = [
        v async for v in executor.services.refinery.list_vibes(id_prefix="executions/x/emitted", full=True)
    ]
    assert [each.solution for each in emitted] == [sent]
    assert (sent["type"], sent["data"]) == ("org.x", {"n": 1})


async def test_the_result_is_committed_once_whoever_starts_it_again(executor: Executor) -> None:
    scenario = Scenario("once", [{"a": says(n=1)}])
    ref = await executor.process(scenario)
    result_id = f"results/{uuid.uuid4()}"
    handle = await executor.start(ref, result_id=result_id)
    first = await handle.result()
    again = await executor.client.start_workflow(
        "ExecuteProcess",
        (await _start_of(executor, handle.id)),
        id=handle.id,
        task_queue="refinery",
        result_type=type(first),
        run_timeout=timedelta(seconds=PATIENCE),
    )
    assert await again.result() == first
    revisions = [v async for v in executor.services.refinery.list_revisions(result_id)]
    assert len(revisions) == 1


async def _start_of(executor: Executor, execution: str) -> Any:
    history = await executor.client.get_workflow_handle(execution).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    return (await executor.client.data_converter.decode(started.input.payloads))[0]
