"""The order of tasks."""

from __future__ import annotations

from typing import Final

from tests.cases.scenario import fails, get, says
from tests.replay.case import BLINKS, WAITS, case

_BOMB: Final = "${ [range(1000000) | range(1000000)] | length }"

_STEPS: Final = 1_200
"""So many that it yields more than once."""

FLOW: Final = [
    case(
        "set", [{"a": says(n="${ .n + 1 }")}, {"b": says(n="${ .n * 2 }")}], input={"n": 1}, output={"n": 4}
    ),
    case("raise", [{"a": fails(418, "runtime", detail="so there")}], fault={"status": 418}),
    case(
        "jumps",
        [
            {"ask": get("/n")},
            {"again": {"switch": [{"less": {"when": "${ .n < 3 }", "then": "ask"}}]}},
            {"done": says(n="${ .n }")},
        ],
        answers={"/n": [(200, {"n": 1}), (200, {"n": 2}), (200, {"n": 3})]},
        output={"n": 3},
    ),
    case(
        "end-in-a-branch",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {"a": {"do": [{"c": get("/x")}, {"e": {**says(n=1), "then": "end"}}]}},
                            {"b": {"try": [{"w": WAITS}], "catch": {"do": [{"never": get("/never")}]}}},
                        ]
                    }
                }
            },
            {"never": get("/never")},
        ],
        shows="TIMER_CANCELED",
        answers={"/x": [(200, 1)]},
        output={"n": 1},
        calls=["/x"],
    ),
    case(
        "fork-all",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {"slow": {"do": [{"w": BLINKS}, {"a": get("/a")}]}},
                            {"fast": {"do": [{"b": get("/b")}, {"c": get("/c")}]}},
                        ]
                    }
                }
            }
        ],
        answers={"/a": [(200, 1)], "/b": [(200, 2)], "/c": [(200, 3)]},
        output=[1, 3],
    ),
    case(
        "fork-compete",
        [
            {
                "f": {
                    "fork": {
                        "compete": True,
                        "branches": [{"bad": fails(500)}, {"slow": WAITS}, {"b": get("/b")}],
                    }
                }
            }
        ],
        shows="TIMER_CANCELED",
        answers={"/b": [(200, 2)]},
        output=2,
    ),
    case(
        "computing",
        [{"f": {"for": {"in": f"${{ [range({_STEPS})] }}"}, "do": [{"a": says(n="${ .n + 1 }")}]}}],
        shows="breathe",
        input={"n": 0},
        output={"n": _STEPS},
    ),
    case(
        "killed-expression",
        [{"t": {"try": [{"a": says(n=_BOMB)}], "catch": {"do": [{"b": get("/b")}]}}}],
        shows="killed-1",
        answers={"/b": [(200, 1)]},
        output=1,
    ),
]
