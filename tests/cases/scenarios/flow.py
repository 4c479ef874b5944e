"""The order of tasks: switches, loops, forks."""

from __future__ import annotations

from tests.cases.scenario import STANDARD, Scenario, fails, says

FLOW = [
    Scenario(
        "a task whose condition does not hold is skipped",
        [{"a": {**says(n=1), "if": "${ .go }"}}],
        input={"go": False},
        output={"go": False},
    ),
    Scenario(
        "a task whose condition holds is done",
        [{"a": {**says(n=1), "if": "${ .go }"}}],
        input={"go": True},
        output={"n": 1},
    ),
    Scenario(
        "then: end ends the process", [{"a": {**says(n=1), "then": "end"}}, {"b": says(n=2)}], output={"n": 1}
    ),
    Scenario(
        "then: end inside a task ends the process",
        [{"a": {"do": [{"b": {**says(n=1), "then": "end"}}, {"c": says(n=2)}]}}, {"d": says(n=3)}],
        output={"n": 1},
    ),
    Scenario(
        "then: end at a branch ends the process",
        [
            {"f": {"fork": {"branches": [{"a": {**says(n=1), "then": "end"}}, {"b": says(n=2)}]}}},
            {"c": says(n=3)},
        ],
        output={"n": 1},
    ),
    Scenario(
        "then: end in a function ends the process",
        [{"a": {"call": "f", "with": {}}}, {"b": says(n=3)}],
        top={"use": {"functions": {"f": {**says(n=1), "then": "end"}}}},
        output={"n": 1},
    ),
    Scenario(
        "then: exit leaves the list",
        [{"a": {"do": [{"b": {**says(n=1), "then": "exit"}}, {"c": says(n=2)}]}}, {"d": says(m="${ .n }")}],
        output={"m": 1},
    ),
    Scenario(
        "then names a task",
        [{"a": {**says(n=1), "then": "c"}}, {"b": says(n=2)}, {"c": says(m="${ .n }")}],
        output={"m": 1},
    ),
    Scenario(
        "then leads back",
        [
            {"count": says(n="${ .n + 1 }")},
            {"again": {"switch": [{"less": {"when": "${ .n < 5 }", "then": "count"}}]}},
            {"done": says(count="${ .n }")},
        ],
        input={"n": 0},
        output={"count": 5},
    ),
    Scenario(
        "switch takes the first case that holds",
        [
            {
                "s": {
                    "switch": [
                        {"x": {"when": "${ .n > 5 }", "then": "big"}},
                        {"y": {"when": "${ .n > 0 }", "then": "small"}},
                        {"z": {"then": "none"}},
                    ]
                }
            },
            {"big": {**says(is_="big"), "then": "end"}},
            {"small": {**says(is_="small"), "then": "end"}},
            {"none": says(is_="none")},
        ],
        input={"n": 3},
        output={"is_": "small"},
    ),
    Scenario(
        "switch falls back to the case without a condition",
        [
            {"s": {"switch": [{"x": {"when": "${ .n > 5 }", "then": "end"}}, {"z": {"then": "none"}}]}},
            {"skipped": says(n=0)},
            {"none": says(is_="none")},
        ],
        input={"n": 3},
        output={"is_": "none"},
    ),
    Scenario(
        "for goes through a list, and hands on what each round gives",
        [
            {
                "f": {
                    "for": {"in": "${ .items }", "each": "x", "at": "i"},
                    "do": [{"add": says(items="${ .items }", sum="${ .sum + $x * $i }")}],
                }
            }
        ],
        input={"items": [5, 6, 7], "sum": 0},
        output={"items": [5, 6, 7], "sum": 20},
    ),
    Scenario(
        "for stops when while no longer holds",
        [
            {
                "f": {
                    "for": {"in": "${ [range(100)] }"},
                    "while": "${ .n < 3 }",
                    "do": [{"add": says(n="${ .n + 1 }", last="${ $item }")}],
                }
            }
        ],
        input={"n": 0},
        output={"n": 3, "last": 2},
    ),
    Scenario(
        "for over nothing gives its input",
        [{"f": {"for": {"in": "${ [] }"}, "do": [{"a": says(n=1)}]}}],
        input={"n": 0},
        output={"n": 0},
    ),
    Scenario(
        "for over what is no list is an error",
        [{"f": {"for": {"in": "${ .n }"}, "do": [{"a": says(n=1)}]}}],
        input={"n": 0},
        fault={"type": STANDARD + "expression", "instance": "/do/0/f"},
    ),
    Scenario(
        "loops nest, and the inner sees the outer",
        [
            {
                "f": {
                    "for": {"in": "${ [1, 2] }", "each": "x"},
                    "do": [
                        {
                            "g": {
                                "for": {"in": "${ [3, 4] }", "each": "y"},
                                "do": [{"a": says(s="${ .s + [$x * $y] }")}],
                            }
                        }
                    ],
                }
            }
        ],
        input={"s": []},
        output={"s": [3, 4, 6, 8]},
    ),
    Scenario(
        "fork gives all outputs in order",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {"slow": {"do": [{"w": {"wait": {"milliseconds": 30}}}, {"s": says(n=1)}]}},
                            {"fast": says(n=2)},
                        ]
                    }
                }
            }
        ],
        output=[{"n": 1}, {"n": 2}],
    ),
    Scenario(
        "competing branches give the first output",
        [
            {
                "f": {
                    "fork": {
                        "compete": True,
                        "branches": [
                            {"slow": {"do": [{"w": {"wait": {"seconds": 60}}}, {"s": says(n=1)}]}},
                            {"fast": says(n=2)},
                        ],
                    }
                }
            }
        ],
        output={"n": 2},
    ),
    Scenario(
        "a branch that fails does not win",
        [
            {
                "f": {
                    "fork": {
                        "compete": True,
                        "branches": [
                            {"bad": fails(500)},
                            {"good": {"do": [{"w": {"wait": {"milliseconds": 20}}}, {"s": says(n=2)}]}},
                        ],
                    }
                }
            }
        ],
        output={"n": 2},
    ),
    Scenario(
        "a branch that fails fails the fork",
        [{"f": {"fork": {"branches": [{"bad": fails(503)}, {"slow": {"wait": {"seconds": 60}}}]}}}],
        fault={"status": 503, "instance": "/do/0/f/fork/branches/0/bad"},
    ),
    Scenario(
        "then: end in a branch ends the process",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {"stop": {"do": [{"a": {**says(n=1), "then": "end"}}]}},
                            {"slow": {"wait": {"seconds": 60}}},
                        ]
                    }
                }
            },
            {"b": says(n=2)},
        ],
        output={"n": 1},
    ),
    Scenario("wait gives its input", [{"w": {"wait": {"milliseconds": 5}}}], input={"n": 1}, output={"n": 1}),
    Scenario(
        "wait reads its length",
        [{"w": {"wait": "${ .length }"}}],
        input={"length": "PT0.005S"},
        output={"length": "PT0.005S"},
    ),
    Scenario(
        "a length that is none is an error",
        [{"w": {"wait": "${ .length }"}}],
        input={"length": "soon"},
        fault={"type": STANDARD + "expression", "instance": "/do/0/w"},
    ),
]
