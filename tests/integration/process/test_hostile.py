"""What a process can be told to do to its worker: it ends with a clear fault, and the worker goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cases.scenario import STANDARD, Scenario, get, says
from tests.integration.process.executor import Executor

PATIENCE = 25
AGAIN = {"a": "${ . }", "b": "${ . }"}


def rounds(count: int, *do: dict[str, Any]) -> dict[str, Any]:
    """A loop."""
    return {"for": {"each": "i", "in": f"${{ [range({count})] }}"}, "do": list(do)}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


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
        fault={"type": STANDARD + "runtime", "instance": "/do/0/a"},
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
    Scenario(
        "many large requests at one moment",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {
                                f"b{i}": {
                                    "call": "http",
                                    "with": {
                                        "method": "post",
                                        "endpoint": "http://world.test/x",
                                        "body": '${ "x" * 200000 }',
                                    },
                                }
                            }
                            for i in range(40)
                        ]
                    }
                }
            },
            {"b": says(n="${ length }")},
        ],
        answers={"/x": [(200, 1)]},
        output={"n": 40},
    ),
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
