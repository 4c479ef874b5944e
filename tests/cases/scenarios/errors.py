"""Errors: raised, caught, and timeouts."""

from __future__ import annotations

from tests.cases.scenario import STANDARD, Scenario, fails, says

ERRORS = [
    Scenario(
        "raise faults with the problem as it says",
        [{"a": fails(418, "runtime", title="${ .t }", detail="so there")}],
        input={"t": "Teapot"},
        fault={
            "type": STANDARD + "runtime",
            "status": 418,
            "title": "Teapot",
            "detail": "so there",
            "instance": "/do/0/a",
        },
    ),
    Scenario(
        "errors are named in use",
        [{"a": {"raise": {"error": "gone"}}}],
        top={"use": {"errors": {"gone": {"type": "urn:test:gone", "status": 410}}}},
        fault={"type": "urn:test:gone", "status": 410},
    ),
    Scenario(
        "try without an error gives the output",
        [{"t": {"try": [{"a": says(n=1)}], "catch": {"do": [{"b": says(n=2)}]}}}],
        output={"n": 1},
    ),
    Scenario(
        "catch does something else, and reads the error",
        [
            {
                "t": {
                    "try": [{"a": fails(503, detail="down")}],
                    "catch": {
                        "as": "e",
                        "do": [{"b": says(s="${ $e.status }", d="${ $e.detail }", x="${ .x }")}],
                    },
                }
            }
        ],
        input={"x": 1},
        output={"s": 503, "d": "down", "x": 1},
    ),
    Scenario(
        "catch alone swallows the error",
        [{"t": {"try": [{"a": fails(503)}], "catch": {}}}],
        input={"x": 1},
        output={"x": 1},
    ),
    Scenario(
        "a filter that does not fit lets the error pass",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {"errors": {"with": {"status": 404}}, "do": [{"b": says(n=2)}]},
                }
            }
        ],
        fault={"status": 503, "instance": "/do/0/t/try/0/a"},
    ),
    Scenario(
        "both families of standard types are one",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {
                        "errors": {
                            "with": {"type": "https://serverlessworkflow.io/dsl/errors/types/communication"}
                        },
                        "do": [{"b": says(n=2)}],
                    },
                }
            }
        ],
        output={"n": 2},
    ),
    Scenario(
        "a filter compares the instance",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {"errors": {"with": {"instance": "/do/0/t/try/0/a"}}, "do": [{"b": says(n=2)}]},
                }
            }
        ],
        output={"n": 2},
    ),
    Scenario(
        "when decides whether to catch",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {"when": "${ $error.status == 404 }", "do": [{"b": says(n=2)}]},
                }
            }
        ],
        fault={"status": 503},
    ),
    Scenario(
        "exceptWhen decides whether not to catch",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {"exceptWhen": "${ $error.status == 503 }", "do": [{"b": says(n=2)}]},
                }
            }
        ],
        fault={"status": 503},
    ),
    Scenario(
        "an error in what is done instead passes on",
        [{"t": {"try": [{"a": fails(503)}], "catch": {"do": [{"b": fails(400, "runtime")}]}}}],
        fault={"status": 400, "instance": "/do/0/t/catch/do/0/b"},
    ),
    Scenario(
        "an outer try catches what the inner does not",
        [
            {
                "o": {
                    "try": [
                        {"t": {"try": [{"a": fails(503)}], "catch": {"errors": {"with": {"status": 404}}}}}
                    ],
                    "catch": {"do": [{"b": says(s="${ $error.status }")}]},
                }
            }
        ],
        output={"s": 503},
    ),
    Scenario(
        "a timeout is an error",
        [{"a": {"wait": {"seconds": 60}, "timeout": {"after": {"milliseconds": 20}}}}],
        fault={"type": STANDARD + "timeout", "status": 408, "instance": "/do/0/a"},
    ),
    Scenario(
        "a timeout can be caught",
        [
            {
                "t": {
                    "try": [{"a": {"wait": {"seconds": 60}, "timeout": {"after": {"milliseconds": 20}}}}],
                    "catch": {
                        "errors": {"with": {"type": STANDARD + "timeout"}},
                        "do": [{"b": says(late=True)}],
                    },
                }
            }
        ],
        output={"late": True},
    ),
    Scenario(
        "what is in time has no timeout",
        [
            {
                "a": {
                    "do": [{"w": {"wait": {"milliseconds": 5}}}, {"b": says(n=1)}],
                    "timeout": {"after": {"seconds": 30}},
                }
            }
        ],
        output={"n": 1},
    ),
    Scenario(
        "the process has a timeout",
        [{"a": {"wait": {"seconds": 60}}}],
        top={"timeout": {"after": {"milliseconds": 20}}},
        fault={"type": STANDARD + "timeout"},
    ),
    *[
        Scenario(
            f"a filter compares the {name}",
            [
                {
                    "t": {
                        "try": [{"a": fails(503, title="Down", detail="for a while")}],
                        "catch": {"errors": {"with": {name: wanted}}, "do": [{"b": says(n=2)}]},
                    }
                }
            ],
            output={"n": 2} if fits else None,
            fault=None if fits else {"status": 503},
        )
        for name, wanted, fits in (
            ("status", 503, True),
            ("title", "Down", True),
            ("title", "Up", False),
            ("detail", "for a while", True),
            ("detail", "for ever", False),
            ("type", STANDARD + "runtime", False),
        )
    ],
    Scenario(
        "an error has the name that the catch gives it",
        [
            {
                "t": {
                    "try": [{"a": fails(503)}],
                    "catch": {"as": "e", "do": [{"b": says(n="${ $e.status }")}]},
                }
            }
        ],
        output={"n": 503},
    ),
    Scenario(
        "a timeout is named in use, and a fork is given up with all that it does",
        [
            {
                "f": {
                    "fork": {"branches": [{"a": {"wait": "P1D"}}, {"b": {"wait": "P1D"}}]},
                    "timeout": "short",
                }
            }
        ],
        top={"use": {"timeouts": {"short": {"after": {"milliseconds": 20}}}}},
        fault={"type": STANDARD + "timeout", "instance": "/do/0/f"},
    ),
]
