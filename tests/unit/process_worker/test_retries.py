"""The delays of retries, and their end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from process_worker.engine.faults import Fault
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.run import Setting
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.checker import read_process
from tests.cases.scenario import Scenario, fails, get
from tests.unit.process_worker.world import World, fly

SECOND = {"seconds": 1}


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


class Clock(World):
    """Ports that record the pauses."""

    random_ = 0.5

    def __init__(self, evaluator: Evaluator, **more: Any) -> None:
        super().__init__(evaluator, **more)
        self.pauses: list[int] = []

    async def pause(self, milliseconds: int, pointer: str) -> None:
        self.pauses.append(milliseconds)
        await super().pause(milliseconds, pointer)

    def random(self) -> float:
        return self.random_


def tried(task: dict[str, Any], retry: dict[str, Any], clock: Clock) -> Any:
    async def carry_out() -> Any:
        do = [{"t": {"try": [{"a": task}], "catch": {"retry": retry}}}]
        process = read_process(Scenario("retry", do).document)
        return await Interpreter(process, clock, Setting("execution/x")).run()

    return fly(carry_out())


def pauses(retry: dict[str, Any], clock: Clock) -> list[int]:
    with pytest.raises(Fault):
        tried(fails(503), retry, clock)
    return clock.pauses


def count(limit: int) -> dict[str, Any]:
    return {"limit": {"attempt": {"count": limit}}}


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (None, [1_000, 1_000, 1_000, 1_000]),
        ({"constant": {}}, [1_000, 1_000, 1_000, 1_000]),
        ({"linear": {}}, [1_000, 2_000, 3_000, 4_000]),
        ({"exponential": {}}, [1_000, 2_000, 4_000, 8_000]),
    ],
)
def test_delays_grow_as_the_policy_says(backoff: Any, expected: list[int], evaluator: Evaluator) -> None:
    policy = {"delay": SECOND, **({"backoff": backoff} if backoff else {}), **count(4)}
    assert pauses(policy, Clock(evaluator)) == expected


def test_delays_stop_growing_before_they_are_longer_than_a_year(evaluator: Evaluator) -> None:
    grown = pauses({"delay": "P100D", "backoff": {"exponential": {}}, **count(60)}, Clock(evaluator))
    assert grown[:3] == [100 * 86_400_000, 200 * 86_400_000, 365 * 86_400_000]
    assert max(grown) == 365 * 86_400_000
    grown = pauses({"delay": "P300D", "backoff": {"linear": {}}, **count(9)}, Clock(evaluator))
    assert grown == [300 * 86_400_000] + [365 * 86_400_000] * 8


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 1_100), (0.5, 1_200), (0.999, 1_299)])
def test_jitter_lies_between_its_ends(chance: float, expected: int, evaluator: Evaluator) -> None:
    jitter = {"from": {"milliseconds": 100}, "to": {"milliseconds": 300}}
    clock = Clock(evaluator)
    clock.random_ = chance
    assert pauses({"delay": SECOND, "jitter": jitter, **count(2)}, clock) == [expected, expected]


def test_nothing_is_tried_again_once_its_time_would_be_up(evaluator: Evaluator) -> None:
    policy = {"delay": SECOND, "limit": {"duration": {"milliseconds": 3_500}}}
    assert pauses(policy, Clock(evaluator)) == [1_000, 1_000, 1_000]


def test_an_attempt_that_takes_too_long_is_given_up_and_tried_again(evaluator: Evaluator) -> None:
    limit = {"limit": {"attempt": {"count": 2, "duration": {"milliseconds": 50}}}}
    clock = Clock(evaluator)
    with pytest.raises(Fault) as caught:
        tried({"wait": "P1D"}, {"delay": SECOND, **limit}, clock)
    assert caught.value.problem.status == 408
    day = 86_400_000
    assert sorted(clock.pauses) == [50, 50, 50, 1_000, 1_000, day, day, day]


def test_without_a_limit_it_is_tried_until_it_holds(evaluator: Evaluator) -> None:
    clock = Clock(evaluator, answers={"/x": [(503, None)] * 40 + [(200, 1)]})
    assert tried(get("/x"), {"delay": SECOND}, clock) == 1
    assert clock.pauses == [1_000] * 40
