from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from process_worker.engine.calls import HttpCall, Values
from process_worker.engine.contract import MAX_EVENTS, MAX_EVENTS_BYTES, Delivery
from process_worker.engine.faults import Fault, Interrupted
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.run import Setting
from process_worker.engine.state import MAX_CONSUMED, Mailbox, State
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.checker import read_process
from tests.cases.scenario import WORLD, Scenario, fails, get, listen, says, typed
from tests.cases.scenarios import SCENARIOS
from tests.unit.process_worker.world import World, fly

WORKFLOW = "execution/6f3e4a52-4f6e-4c57-9d4d-2f4f0a3c1b11"


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


async def carry_out(scenario: Scenario, world: World) -> tuple[Any, Interpreter]:
    """Carry it out, taking it down through JSON and up again whenever the world is full."""
    process = read_process(scenario.document)
    setting = Setting(WORKFLOW, input=scenario.input)
    state: State | None = None
    while True:
        run = Interpreter(process, world, setting, state)
        if state is None:
            for event in scenario.events:
                run.state.mailbox.deliver(Delivery(**event))
        try:
            return await run.run(), run
        except Interrupted as interrupted:
            state = State.restored(json.loads(json.dumps(interrupted.snapshot)))


def check(scenario: Scenario, world: World) -> None:
    if scenario.fault is None:
        assert fly(carry_out(scenario, world))[0] == scenario.output
    else:
        with pytest.raises(Fault) as caught:
            fly(carry_out(scenario, world))
        assert asdict(caught.value.problem).items() >= scenario.fault.items()
    if scenario.calls is not None:
        assert world.called == scenario.calls
    keys = [request.key for request in world.requests]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_process_comes_to(scenario: Scenario, evaluator: Evaluator) -> None:
    check(scenario, World(evaluator, scenario.answers))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_process_that_is_taken_down_after_every_task_comes_to_the_same(
    scenario: Scenario, evaluator: Evaluator
) -> None:
    check(scenario, World(evaluator, scenario.answers, full_every=1))


NESTED = Scenario(
    "nested",
    [
        {
            "f": {
                "for": {"in": "${ [range(6)] }", "each": "x"},
                "do": [
                    {
                        "t": {
                            "try": [{"a": get("/a")}, {"b": get("/b")}],
                            "catch": {"retry": {"limit": {"attempt": {"count": 3}}}},
                        }
                    },
                    {
                        "g": {
                            "for": {"in": "${ [1, 2] }"},
                            "do": [{"c": get("/c")}],
                            "timeout": {"after": "PT1H"},
                        }
                    },
                    {
                        "again": {
                            "switch": [
                                {"odd": {"when": "${ $context.n != 1 }", "then": "mark"}},
                                {"even": {"then": "exit"}},
                            ]
                        }
                    },
                    {"mark": {**says(n=1), "export": {"as": "${ {n: 1} }"}, "then": "t"}},
                ],
            }
        }
    ],
    answers={"/a": [(200, 1)], "/b": [(500, None), (200, 2), (500, None), (200, 3)], "/c": [(200, 4)]},
)


@pytest.mark.parametrize("full_every", [1_000_000, 1, 2, 3, 5])
def test_keys_are_the_same_however_often_it_is_taken_down(full_every: int, evaluator: Evaluator) -> None:
    whole = World(evaluator, NESTED.answers)
    parts = World(evaluator, NESTED.answers, full_every=full_every)
    outcomes = [fly(carry_out(NESTED, world)) for world in (whole, parts)]
    assert whole.requests == parts.requests
    assert len({request.key for request in whole.requests}) == len(whole.requests) > 25
    numbers = [[(e.number, e.kind, e.task) for e in run.state.trace.events] for _, run in outcomes]
    assert numbers[0] == numbers[1]


def test_a_long_loop_does_not_compute_without_a_stop(evaluator: Evaluator) -> None:
    loop = Scenario(
        "loop",
        [{"f": {"for": {"in": "${ [range(2000)] }"}, "do": [{"a": says(n="${ .n + 1 }")}]}}],
        input={"n": 0},
        output={"n": 2000},
    )
    world = World(evaluator)
    check(loop, world)
    assert world.breaths >= 2000 // 500


def test_an_event_wakes_who_listens(evaluator: Evaluator) -> None:
    async def talk() -> Any:
        world = World(evaluator)
        run = Interpreter(read_process(scenario.document), world, Setting(WORKFLOW))
        work = asyncio.create_task(run.run())
        await asyncio.sleep(5)
        assert run.state.trace.innermost == ["/do/0/l"]
        assert run.state.trace.listening == {"/do/0/l": {"one": typed()}}
        delivery = Delivery("1", "org.example.done", "urn:x", "", "main@roles/r?1", "main@e/1?1", {"n": 1})
        assert run.state.mailbox.deliver(delivery)
        assert not run.state.mailbox.deliver(delivery)
        output = await work
        assert run.state.consumed == ["main@e/1?1"]
        assert not run.state.trace.listening
        assert not run.state.trace.active
        return output

    scenario = Scenario("listen", listen({"one": typed()}))
    assert fly(talk()) == [{"n": 1}]


def stop_after(seconds: float, scenario: Scenario, world: World, again: float = 0) -> None:
    async def stop() -> None:
        run = Interpreter(read_process(scenario.document), world, Setting(WORKFLOW))
        work = asyncio.create_task(run.run())
        await asyncio.sleep(seconds)
        run.stop(work)
        await asyncio.sleep(again)
        run.stop(work)
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not run.state.trace.active

    fly(stop())


def test_a_path_gives_what_is_there_whatever_stands_beside_it(evaluator: Evaluator) -> None:
    huge = (1 << 53) + 1  # jq would round it.
    scenario = Scenario("huge", [{"a": says(id="${ .id }", n="${ .n + 1 }")}], input={"id": huge, "n": 1})
    assert fly(carry_out(scenario, World(evaluator)))[0] == {"id": huge, "n": 2}


def delivery(id_: str, size: int) -> Delivery:
    return Delivery(id_, "said", "somebody", "", "main@roles/local?1", f"main@{id_}?1", "x" * size)


def test_events_are_taken_until_there_are_too_many_bytes_of_them() -> None:
    mailbox = Mailbox()
    for number in range(MAX_EVENTS_BYTES >> 18):
        assert mailbox.room == MAX_EVENTS - number
        assert mailbox.deliver(delivery(f"e{number}", 1 << 18))
    assert mailbox.room == 0
    assert not mailbox.deliver(delivery("e0", 1))  # It was there before, so it is no error.
    with pytest.raises(OverflowError, match="at most 1000 events, and 16777216 bytes of them at a time"):
        mailbox.deliver(delivery("more", 1))


def test_a_new_run_counts_the_bytes_of_the_events_that_still_wait() -> None:
    state = State()
    state.mailbox.deliver(delivery("e", MAX_EVENTS_BYTES))
    assert (state.mailbox.room, restored(state).mailbox.room) == (0, 0)
    state.mailbox.waiting.clear()
    assert (state.mailbox.room, restored(state).mailbox.room) == (0, MAX_EVENTS - 1)


def restored(state: State) -> State:
    return State.restored(json.loads(json.dumps(state.snapshot())))


def test_a_result_is_made_from_no_more_than_a_refine_can_name() -> None:
    state = State(consumed=["main@x?1"] * (MAX_CONSUMED - 1))
    state.consume("main@y?1")
    with pytest.raises(Fault, match="more than 8000 events and results"):
        state.consume("main@z?1")


def test_what_is_stopped_compensates_and_ends(evaluator: Evaluator) -> None:
    catch = {"do": [{"w": {"wait": {"seconds": 1}}}, {"undo": get("/undo")}]}
    saga = Scenario(
        "saga", [{"t": {"try": [{"w": {"wait": "P1D"}}], "catch": catch}}, {"never": get("/never")}]
    )
    world = World(evaluator, {"/undo": [(200, 1)]})
    stop_after(60, saga, world)
    assert world.called == ["/undo"]


def test_what_is_stopped_in_a_fork_compensates_in_each_branch(evaluator: Evaluator) -> None:
    def branch(n: int) -> dict[str, Any]:
        return {"try": [{"w": {"wait": "P1D"}}], "catch": {"do": [{"u": get(f"/undo/{n}")}]}}

    fork = Scenario("fork", [{"f": {"fork": {"branches": [{"a": branch(1)}, {"b": branch(2)}]}}}])
    world = World(evaluator, {"/undo/1": [(200, 1)], "/undo/2": [(200, 1)]})
    stop_after(60, fork, world)
    assert sorted(world.called) == ["/undo/1", "/undo/2"]


def test_what_is_stopped_while_it_waits_to_try_again_compensates(evaluator: Evaluator) -> None:
    catch = {"retry": {"delay": "P1D"}, "do": [{"u": get("/undo")}]}
    saga = Scenario("saga", [{"t": {"try": [{"a": fails(503)}], "catch": catch}}])
    world = World(evaluator, {"/undo": [(200, 1)]})
    stop_after(60, saga, world)
    assert world.called == ["/undo"]


def test_what_is_stopped_while_it_compensates_goes_on_with_that(evaluator: Evaluator) -> None:
    catch = {"do": [{"w": {"wait": "PT2H"}}, {"u": get("/undo")}]}
    saga = Scenario("saga", [{"t": {"try": [{"w": {"wait": "P1D"}}], "catch": catch}}])
    world = World(evaluator, {"/undo": [(200, 1)]})
    stop_after(60, saga, world, again=3_600)
    assert world.called == ["/undo"]


def test_what_is_stopped_during_a_call_compensates(evaluator: Evaluator) -> None:
    saga = Scenario("saga", [{"t": {"try": [{"a": get("/do")}], "catch": {"do": [{"u": get("/undo")}]}}}])
    world = World(evaluator, {"/do": [(200, 1)], "/undo": [(200, 1)]})
    stop_after(0.0005, saga, world)
    assert world.called == ["/do", "/undo"]


@pytest.mark.parametrize(
    "do",
    [
        [{"a": says(n=1)}, {"b": {**says(n=2), "then": "a"}}],
        [{"t": {"try": [{"a": fails(503)}], "catch": {"retry": {}}}}],
        [{"t": {"try": [{"a": fails(503)}], "catch": {"retry": {"when": "${ true }"}}}}],
    ],
    ids=["a jump back", "a retry", "a retry with a condition"],
)
def test_what_never_ends_lets_go_and_can_be_stopped(do: list[Any], evaluator: Evaluator) -> None:
    world = World(evaluator)
    stop_after(5e-6, Scenario("for ever", do), world)
    assert world.breaths


def test_a_filter_on_errors_decides_what_is_compensated(evaluator: Evaluator) -> None:
    catch = {"errors": {"with": {"type": "urn:refinery:cancelled"}}, "do": [{"u": get("/yes")}]}
    other = {"errors": {"with": {"status": 503}}, "do": [{"u": get("/no")}]}
    inner = {"t": {"try": [{"w": {"wait": "P1D"}}], "catch": other}}
    world = World(evaluator, {"/yes": [(200, 1)], "/no": [(200, 1)]})
    stop_after(60, Scenario("f", [{"o": {"try": [inner], "catch": catch}}]), world)
    assert world.called == ["/yes"]


def test_secrets_never_enter_what_an_execution_keeps(evaluator: Evaluator) -> None:
    use = {"secrets": ["token"]}
    bearer = {"bearer": {"token": "${ $secrets.token + $input.suffix }"}}
    endpoint = {"uri": f"{WORLD}/x", "authentication": bearer}
    call = {"call": "http", "with": {"method": "get", "endpoint": endpoint}}
    world = World(evaluator, {"/x": [(200, 1)]})
    scenario = Scenario("call", [{"a": call}], top={"use": use}, input={"suffix": "!"})
    fly(carry_out(scenario, world))
    assert isinstance(world.requests[0].call, HttpCall)
    assert world.requests[0].call.authentication == Values(
        scheme="bearer",
        texts={},
        expressions={"token": "$secrets.token + $input.suffix"},
        input={"suffix": "!"},
        variables={"input": {"suffix": "!"}},
        secrets=["token"],
    )


def test_the_trace_tells_what_happened(evaluator: Evaluator) -> None:
    do = [
        {"skipped": {**says(n=1), "if": "${ false }"}},
        {
            "t": {
                "try": [{"bad": fails(503)}],
                "catch": {"retry": {"limit": {"attempt": {"count": 1}}}, "do": [{"b": says(n=2)}]},
            }
        },
    ]
    _, run = fly(carry_out(Scenario("trace", do), World(evaluator)))
    assert [(e.kind.removeprefix("TASK_"), e.task) for e in run.state.trace.events] == [
        ("SKIPPED", "/do/0/skipped"),
        ("STARTED", "/do/1/t"),
        ("STARTED", "/do/1/t/try/0/bad"),
        ("FAULTED", "/do/1/t/try/0/bad"),
        ("RETRIED", "/do/1/t"),
        ("STARTED", "/do/1/t/try/0/bad"),
        ("FAULTED", "/do/1/t/try/0/bad"),
        ("STARTED", "/do/1/t/catch/do/0/b"),
        ("ENDED", "/do/1/t/catch/do/0/b"),
        ("ENDED", "/do/1/t"),
    ]
    assert [event.number for event in run.state.trace.events] == list(range(1, 11))
