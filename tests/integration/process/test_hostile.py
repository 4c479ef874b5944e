"""Hostile processes end with a clear fault, and their worker goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError, TerminatedError
from temporalio.service import RPCError

from process_worker.activities.outside import functions
from process_worker.jq.evaluator import Evaluator
from process_worker.workflow import replayed
from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.scenario import STANDARD, Scenario, event, fails, get, listen, says
from tests.integration.conftest import Services
from tests.integration.process.executor import Executor, executing, progress
from tests.integration.process.replaying import replay
from tests.support.waiting import PATIENCE

BOMB = "${ [range(1000000) | range(1000000)] | length }"


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


RUNS_AGAIN = {"namespace": "tests", "name": "aug:/processes/again", "version": "1.0.0"}
AGAIN = {"a": "${ . }", "b": "${ . }"}


def rounds(count: int, *do: dict[str, Any]) -> dict[str, Any]:
    """A loop."""
    return {"for": {"each": "i", "in": f"${{ [range({count})] }}"}, "do": list(do)}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def large_requests(letter: str, length: int, count: int) -> Scenario:
    body = f'${{ "{letter}" * {length} }}'
    asked = {"method": "post", "endpoint": "http://world.test/x", "body": body}
    branches = [{f"b{i}": {"call": "http", "with": asked}} for i in range(count)]
    return Scenario(
        f"many large requests at one moment, of {letter}",
        [{"f": {"fork": {"branches": branches}}}, {"b": says(n="${ length }")}],
        answers={"/x": [(200, 1)]},
        output={"n": count},
    )


BIG = '${ "x" * 900000 }'
HOSTILE = [
    Scenario(
        "data that gets deeper in every round, and is then read",
        [{"f": rounds(400, {"a": says(a="${ . }")})}, {"b": says(n="${ [..] | length }")}],
        fault={"type": STANDARD + "runtime"},
    ),
    Scenario(
        "data that doubles in every round",
        [{"f": rounds(60, {"a": says(**AGAIN)})}],
        fault={"type": STANDARD + "runtime"},
    ),
    Scenario(
        "a context that doubles in every round",
        [
            {
                "f": rounds(
                    60, {"a": {**says(n=1), "export": {"as": {"a": "${ $context }", "b": "${ $context }"}}}}
                )
            }
        ],
        fault={"type": STANDARD + "runtime"},
    ),
    Scenario(
        "an answer that is nested deeper than documents may be, and is then read",
        [{"a": get("/deep")}, {"b": says(n="${ [..] | length }")}],
        answers={"/deep": [(200, nested(250))]},
        fault={"type": STANDARD + "communication", "status": 502, "instance": "/do/0/a"},
    ),
    Scenario(
        "a result of five megabytes",
        [{"a": says(**{f"m{i}": BIG for i in range(6)})}],
        fault={"type": STANDARD + "runtime"},
    ),
    Scenario(
        "a result that is too large for a document",
        [{"a": says(**{f"m{i}": BIG for i in range(2)})}],
        fault={"type": STANDARD + "validation", "instance": "/output"},
    ),
    large_requests("x", 200_000, 40),
    large_requests("д", 42_000, 30),
    Scenario(
        "a problem that tells a whole book",
        [{"a": {"raise": {"error": {"type": "urn:x", "status": 500, "detail": BIG, "title": BIG}}}}],
        fault={"type": "urn:x"},
    ),
    Scenario(
        "many large answers at one moment",
        [
            {"f": {"fork": {"branches": [{f"b{i}": get("/big")} for i in range(30)]}}},
            {"b": says(n="${ length }")},
        ],
        answers={"/big": [(200, "x" * 200_000)]},
        fault={"type": STANDARD + "runtime", "instance": "/do/0/f"},
    ),
    Scenario(
        "many expressions that take nearly all of their time",
        [{"f": rounds(16, {"a": says(n="${ reduce range(300000) as $i (0; . + 1) }")})}],
        output={"n": 300_000},
    ),
]


@pytest.mark.parametrize("scenario", HOSTILE, ids=str)
async def test_a_process_ends_clearly_and_the_worker_goes_on(scenario: Scenario, executor: Executor) -> None:
    executor.web.script(scenario.answers)
    async with asyncio.timeout(PATIENCE):
        outcome = await executor.carry_out(scenario)
        if scenario.fault is None:
            assert outcome == scenario.output
        else:
            assert scenario.fault.items() <= outcome.items()
        assert await executor.carry_out(Scenario("innocent", [{"a": says(n="${ 1 + 1 }")}])) == {"n": 2}


# --- Functions, floods, and other clients ----------------------------------------------------


def calls_python(name: str) -> Scenario:
    return Scenario("python", [{"a": {"call": f"aug:/capabilities/{name}", "with": {}}}])


async def test_what_a_function_does_wrong_is_a_fault_and_not_tried_for_ever(
    services: Services, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def breaks(*_: Any) -> Any:
        calls.append("breaks")
        raise ZeroDivisionError("the secret is 42")

    def recovers(*_: Any) -> Any:
        calls.append("recovers")
        return 1 // (calls.count("recovers") - 1)

    odd = {"breaks": breaks, "recovers": recovers, "gives-a-set": lambda *_: {1, 2}}
    odd |= {"gives-a-huge-number": lambda *_: 1 << 70, "gives-half-a-letter": lambda *_: "\ud800"}
    monkeypatch.setattr(functions, "installed", lambda: odd)
    for name in odd:
        solution = {"call": "python", "with": {"function": name}}
        await services.refine(Draft(type=VibeType.CAPABILITY, id=f"capabilities/{name}", solution=solution))
    async with executing(services, temporal) as executor, asyncio.timeout(PATIENCE):
        outcomes = {
            name: await executor.carry_out(
                calls_python(name), frozen={f"aug:/capabilities/{name}": f"main@capabilities/{name}?1"}
            )
            for name in odd
        }
    assert outcomes["recovers"] == 1
    assert calls == ["breaks"] * 4 + ["recovers"] * 2
    assert outcomes["breaks"]["type"] == STANDARD + "runtime"
    assert "ZeroDivisionError" in outcomes["breaks"]["detail"]
    assert "42" not in outcomes["breaks"]["detail"]
    assert "it has a set" in outcomes["gives-a-set"]["detail"]
    assert "a whole number of more than 64 bits" in outcomes["gives-a-huge-number"]["detail"]
    assert "half of a character" in outcomes["gives-half-a-letter"]["detail"]


async def test_innocent_expressions_wait_for_bombs_and_are_not_blamed(executor: Executor) -> None:
    bomb = await executor.process(Scenario("bomb", [{"a": says(n=BOMB)}]))
    other = await executor.process(Scenario("other", [{"a": says(n="${ [.n, 1] | add }")}]))
    async with asyncio.timeout(PATIENCE):
        bombs = [await executor.start(bomb) for _ in range(5)]
        innocent = [await executor.start(other, {"n": n}) for n in range(8)]
        assert [await executor.output(each) for each in innocent] == [{"n": n + 1} for n in range(8)]
        for each in bombs:
            assert (await executor.outcome(each))["type"] == STANDARD + "expression"


async def test_half_a_character_from_another_client_is_a_fault(executor: Executor) -> None:
    reads = await executor.process(Scenario("half", [{"a": says(n="${ length }")}]))
    asked = {"method": "post", "endpoint": "http://world.test/x", "body": "${ . }"}
    sends = await executor.process(Scenario("half", [{"a": {"call": "http", "with": asked}}]))
    async with asyncio.timeout(PATIENCE):
        for ref in (reads, sends):
            problem = await executor.outcome(await executor.start(ref, "\ud800"))
            assert problem["type"] in {STANDARD + "expression", STANDARD + "runtime"}


async def test_many_processes_are_run_at_one_moment_whatever_their_references_fill(
    executor: Executor,
) -> None:
    child = await executor.process(Scenario("child", [{"a": says(n=1)}]))
    runs = [{f"r{i}": {"run": {"workflow": {**RUNS_AGAIN, "input": {}}}}} for i in range(20)]
    parent = Scenario("parent", [{"f": {"fork": {"branches": runs}}}, {"b": says(n="${ length }")}])
    names = {f"aug:/{'x' * 460}/{i}": f"main@{'x' * 460}/{i}?1" for i in range(250)}
    async with asyncio.timeout(PATIENCE):
        frozen = {RUNS_AGAIN["name"]: child, **names}
        assert await executor.carry_out(parent, frozen=frozen) == {"n": 20}


async def test_three_hundred_evaluations_that_are_put_off_are_all_remembered(
    executor: Executor, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replayed, "_COMPUTING", -1.0)
    loop = Scenario("loop", [{"f": rounds(300, {"a": says(n="${ [.n, 1] | add }")})}])
    handle = await executor.start(await executor.process(loop))
    async with asyncio.timeout(PATIENCE):
        assert await executor.output(handle) == {"n": 300}
    monkeypatch.undo()
    await replay(executor.client, handle, evaluator)


async def test_who_is_not_the_role_is_not_heard_whatever_the_order(executor: Executor) -> None:
    role, other = "main@roles/controller?1", "main@roles/other?1"
    wanted = {"with": {"type": "org.example.done", "author_ref": role}}
    ref = await executor.process(
        Scenario("asks", [{"w": {"wait": {"milliseconds": 50}}}, *listen({"one": wanted})])
    )
    handle = await executor.start(ref)
    sent = [("1", other, 1), ("2", other, 2), ("3", role, 3), ("3", role, 3), ("4", other, 4), ("5", role, 5)]
    async with asyncio.timeout(PATIENCE):
        for id_, author, data in sent:
            with contextlib.suppress(WorkflowUpdateFailedError, RPCError):  # The last ones may be too late.
                await executor.deliver(handle, event(id_, author_ref=author, data=data))
        assert await executor.output(handle) == [3]


@pytest.mark.parametrize(
    "task",
    [
        {"wait": "P1D"},
        get("/slow"),
        {"fork": {"branches": [{"a": {"wait": "P1D"}}, {"b": get("/slow")}]}},
        {"try": [{"a": fails(503)}], "catch": {"retry": {"delay": "P1D"}}},
    ],
    ids=["a wait", "a call", "a fork", "a retry"],
)
async def test_what_is_asked_twice_to_stop_stops_once_and_compensates(
    task: dict[str, Any], executor: Executor, evaluator: Evaluator
) -> None:
    executor.web.script({"/undo": [(200, 1)], "/slow": [(200, 1)]})
    executor.web.slow["/slow"] = PATIENCE
    saga = Scenario("saga", [{"t": {"try": [{"x": task}], "catch": {"do": [{"u": get("/undo")}]}}}])
    handle = await executor.start(await executor.process(saga))
    async with asyncio.timeout(PATIENCE):
        while not any("/try/0/x" in at for at in (await progress(handle)).tasks):
            await asyncio.sleep(0.02)
        await handle.cancel()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert executor.web.asked.count("/undo") == 1
    await replay(executor.client, handle, evaluator)


async def test_what_is_terminated_stops_at_once_and_leaves_no_result(executor: Executor) -> None:
    catch = {"do": [{"u": get("/undo")}]}
    handle = await executor.start(
        await executor.process(Scenario("t", [{"t": {"try": [{"w": {"wait": "P1D"}}], "catch": catch}}]))
    )
    await handle.terminate()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, TerminatedError)
    assert executor.web.asked == []


async def test_a_process_that_runs_itself_comes_to_an_end(executor: Executor) -> None:
    again = "aug:/processes/again"
    ref = await executor.process(Scenario("again", [{"a": {"run": {"workflow": RUNS_AGAIN}}}]))
    async with asyncio.timeout(PATIENCE):
        problem = await executor.outcome(await executor.start(ref, frozen={again: ref}))
    assert problem["detail"] == "processes run each other more than 32 deep"
