"""Processes, what they are given, and what they come to: carried out by the engine alone and on Temporal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WORLD = "http://world.test"
"""Where the calls go. Somebody answers there what the scenario says, call after call; the last for ever."""

STANDARD = "https://serverlessworkflow.io/spec/1.0.0/errors/"


@dataclass(frozen=True)
class Scenario:
    """`do` and `top` make the document; it comes to `output`, or ends with `fault`, a part of a problem."""

    name: str
    do: list[dict[str, Any]]
    top: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    output: Any = None
    fault: dict[str, Any] | None = None
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    calls: list[str] | None = None
    """The paths that were called, in order; None where that is left to chance."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What it is sent before it starts to listen."""

    @property
    def document(self) -> dict[str, Any]:
        """The whole document."""
        described = {"dsl": "1.0.3", "namespace": "test", "name": "scenario", "version": "0.1.0"}
        return {"document": described, "do": self.do, **self.top}

    def __str__(self) -> str:
        return self.name


def get(path: str, **more: Any) -> dict[str, Any]:
    """A call."""
    return {"call": "http", "with": {"method": "get", "endpoint": f"{WORLD}{path}"}, **more}


def fails(status: int, kind: str = "communication", **more: Any) -> dict[str, Any]:
    """A task that raises a standard error."""
    return {"raise": {"error": {"type": STANDARD + kind, "status": status, **more}}}


def says(**data: Any) -> dict[str, Any]:
    """A task that sets data."""
    return {"set": data}


def event(id_: str, type_: str = "org.example.done", **more: Any) -> dict[str, Any]:
    """An event as it is delivered."""
    author, ref = "main@roles/someone?1", f"main@executions/e/events/{id_}?1"
    return {"id": id_, "type": type_, "source": "urn:test", "subject": "", "author_ref": author} | {
        "event_ref": ref,
        "data": None,
        **more,
    }


DATA = [
    Scenario("set gives data", [{"a": says(n=1)}], output={"n": 1}),
    Scenario(
        "set fills expressions in",
        [{"a": says(n="${ .n + 1 }", deep=[{"m": "${ $input.n }"}], text="plain")}],
        input={"n": 1},
        output={"n": 2, "deep": [{"m": 1}], "text": "plain"},
    ),
    Scenario(
        "set is one expression",
        [{"a": {"set": "${ .list | map(. * 2) }"}}],
        input={"list": [1, 2]},
        output=[2, 4],
    ),
    Scenario(
        "the output of a task is the input of the next",
        [{"a": says(n=1)}, {"b": says(n="${ .n + 1 }")}, {"c": says(n="${ .n + 1 }")}],
        output={"n": 3},
    ),
    Scenario(
        "input.from and output.as reshape what a task sees and gives",
        [
            {
                "a": {
                    **says(sum="${ .x + $input.y }"),
                    "input": {"from": "${ .inner }"},
                    "output": {"as": "${ .sum }"},
                }
            }
        ],
        input={"inner": {"x": 1, "y": 2}},
        output=3,
    ),
    Scenario(
        "templates of input and output are objects",
        [
            {
                "a": {
                    **says(r="${ . }"),
                    "input": {"from": {"x": "${ .a }"}},
                    "output": {"as": {"y": "${ .r.x }"}},
                }
            }
        ],
        input={"a": 5},
        output={"y": 5},
    ),
    Scenario(
        "export replaces the context, which later tasks read",
        [
            {"a": {**says(n=1), "export": {"as": "${ $context + {first: .n} }"}}},
            {"b": {**says(n=2), "export": {"as": "${ $context + {second: $output.n} }"}}},
            {"c": {"set": "${ $context }"}},
        ],
        output={"first": 1, "second": 2},
    ),
    Scenario(
        "the process reshapes its own input and output",
        [{"a": says(n="${ .n + 1 }")}],
        top={"input": {"from": "${ .start }"}, "output": {"as": "${ {result: .n} }"}},
        input={"start": {"n": 1}},
        output={"result": 2},
    ),
    Scenario(
        "$task and $workflow describe where the expression stands",
        [
            {
                "first": says(
                    name="${ $task.name }",
                    at="${ $task.reference }",
                    raw="${ $task.input }",
                    w="${ $workflow.input }",
                )
            }
        ],
        top={"input": {"from": "${ .x }"}},
        input={"x": 1},
        output={"name": "first", "at": "/do/0/first", "raw": 1, "w": {"x": 1}},
    ),
    Scenario(
        "a schema refuses the input of the process",
        [{"a": says(n=1)}],
        top={"input": {"schema": {"document": {"type": "object", "required": ["n"]}}}},
        input={},
        fault={"type": STANDARD + "validation", "status": 400, "instance": "/input"},
    ),
    Scenario(
        "a schema refuses the output of a task",
        [
            {
                "a": {
                    **says(n="one"),
                    "output": {"schema": {"document": {"properties": {"n": {"type": "integer"}}}}},
                }
            }
        ],
        fault={"type": STANDARD + "validation", "instance": "/do/0/a"},
    ),
    Scenario(
        "a schema refuses what is exported",
        [{"a": {**says(n=1), "export": {"as": "${ . }", "schema": {"document": {"required": ["m"]}}}}}],
        fault={"type": STANDARD + "validation", "instance": "/do/0/a"},
    ),
    Scenario(
        "an expression that fails is an error of its task",
        [{"a": {"do": [{"b": says(n="${ .n + {} }")}]}}],
        input={"n": 1},
        fault={"type": STANDARD + "expression", "status": 400, "instance": "/do/0/a/do/0/b"},
    ),
]

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
]


def retried(retry: Any, **catch: Any) -> list[dict[str, Any]]:
    """A call that is tried again."""
    return [{"t": {"try": [{"a": get("/flaky")}], "catch": {"retry": retry, **catch}}}]


FLAKY = {"/flaky": [(503, None), (503, None), (200, {"ok": True})]}
COUNT = {"limit": {"attempt": {"count": 2}}}

CALLS = [
    Scenario(
        "a call gives what is answered",
        [{"a": get("/x")}],
        answers={"/x": [(200, {"n": 1})]},
        output={"n": 1},
        calls=["/x"],
    ),
    Scenario(
        "a call that is refused is an error with its status",
        [{"a": get("/x")}],
        answers={"/x": [(404, None)]},
        fault={"type": STANDARD + "communication", "status": 404, "instance": "/do/0/a"},
    ),
    Scenario(
        "an endpoint takes members of the input",
        [{"a": get("/pets/{name}")}],
        input={"name": "a b"},
        answers={"/pets/a%20b": [(200, {"n": 1})]},
        output={"n": 1},
    ),
    Scenario(
        "an endpoint is an expression",
        [{"a": {"call": "http", "with": {"method": "get", "endpoint": '${ "http://world.test/" + .name }'}}}],
        input={"name": "x"},
        answers={"/x": [(200, {"n": 1})]},
        output={"n": 1},
    ),
    Scenario(
        "a whole response has status and content",
        [
            {
                "a": {
                    "call": "http",
                    "with": {"method": "get", "endpoint": f"{WORLD}/x", "output": "response"},
                    "output": {"as": "${ {s: .statusCode, c: .content} }"},
                }
            }
        ],
        answers={"/x": [(200, [1])]},
        output={"s": 200, "c": [1]},
    ),
    Scenario(
        "a call is tried again", retried(COUNT), answers=FLAKY, output={"ok": True}, calls=["/flaky"] * 3
    ),
    Scenario(
        "retries end, and the error passes on",
        retried({"limit": {"attempt": {"count": 1}}}),
        answers=FLAKY,
        fault={"status": 503},
        calls=["/flaky"] * 2,
    ),
    Scenario(
        "retries end, and something else is done",
        retried({"limit": {"attempt": {"count": 1}}}, do=[{"b": says(gave="up")}]),
        answers=FLAKY,
        output={"gave": "up"},
        calls=["/flaky"] * 2,
    ),
    Scenario(
        "delays grow",
        retried(
            {
                **COUNT,
                "delay": {"milliseconds": 5},
                "backoff": {"exponential": {}},
                "jitter": {"from": {"milliseconds": 1}, "to": {"milliseconds": 2}},
            }
        ),
        answers=FLAKY,
        output={"ok": True},
    ),
    Scenario(
        "retry when",
        retried({"when": "${ $error.status == 500 }", **COUNT}),
        answers=FLAKY,
        fault={"status": 503},
        calls=["/flaky"],
    ),
    Scenario(
        "retry exceptWhen",
        retried({"exceptWhen": "${ $error.status == 503 }", **COUNT}),
        answers=FLAKY,
        fault={"status": 503},
        calls=["/flaky"],
    ),
    Scenario(
        "retries end with their time",
        retried({"delay": {"milliseconds": 200}, "limit": {"duration": {"milliseconds": 100}}}),
        answers=FLAKY,
        fault={"status": 503},
        calls=["/flaky"],
    ),
    Scenario(
        "retry policies are named in use",
        retried("patient"),
        top={"use": {"retries": {"patient": COUNT}}},
        answers=FLAKY,
        output={"ok": True},
    ),
    Scenario(
        "functions are named in use, and take arguments",
        [{"a": {"call": "fetch", "with": {"name": "x"}, "output": {"as": "${ .n + 1 }"}}}],
        top={"use": {"functions": {"fetch": get("/{name}")}}},
        answers={"/x": [(200, {"n": 1})]},
        output=2,
    ),
    Scenario(
        "calls in a loop are made one after the other",
        [{"f": {"for": {"in": "${ [1, 2, 3] }"}, "do": [{"a": get("/x")}]}}],
        answers={"/x": [(200, 1), (200, 2), (200, 3)]},
        output=3,
        calls=["/x"] * 3,
    ),
    Scenario(
        "a saga undoes what it did, last first",
        [
            {
                "saga": {
                    "try": [
                        {"one": get("/book/1", export={"as": "${ $context + {undo: [1]} }"})},
                        {
                            "two": get(
                                "/book/2", export={"as": "${ $context + {undo: ([2] + $context.undo)} }"}
                            )
                        },
                        {"three": get("/book/3")},
                    ],
                    "catch": {
                        "do": [
                            {
                                "undo": {
                                    "for": {"in": "${ $context.undo }", "each": "n"},
                                    "do": [{"at": {"set": {"n": "${ $n }"}}}, {"un": get("/cancel/{n}")}],
                                }
                            },
                            {"fail": fails(409, "runtime", detail="undone")},
                        ]
                    },
                }
            }
        ],
        answers={
            "/book/1": [(200, 1)],
            "/book/2": [(200, 2)],
            "/book/3": [(500, None)],
            "/cancel/1": [(200, 1)],
            "/cancel/2": [(200, 2)],
        },
        fault={"status": 409},
        calls=["/book/1", "/book/2", "/book/3", "/cancel/2", "/cancel/1"],
    ),
    Scenario(
        "emit gives its input",
        [
            {
                "e": {
                    "emit": {
                        "event": {"with": {"type": "org.x", "source": "urn:x", "data": {"n": "${ .n }"}}}
                    }
                }
            }
        ],
        input={"n": 1},
        output={"n": 1},
    ),
]


def listen(to: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """A process that listens."""
    return [{"l": {"listen": {"to": to}, **more}}]


def typed(type_: str = "org.example.done", **more: Any) -> dict[str, Any]:
    """An event filter."""
    return {"with": {"type": type_, **more}}


EVENTS = [
    Scenario(
        "listen gives the data of the event",
        listen({"one": typed()}),
        events=[event("1", data={"n": 1})],
        output=[{"n": 1}],
    ),
    Scenario(
        "listen leaves what does not fit",
        listen({"one": typed()}),
        events=[event("0", "org.example.other", data=0), event("1", data=1)],
        output=[1],
    ),
    Scenario(
        "an event that came twice came once",
        listen({"any": [typed()], "until": "${ length == 2 }"}),
        events=[event("1", data=1), event("1", data=9), event("2", data=2)],
        output=[1, 2],
    ),
    Scenario(
        "listen reads the envelope",
        [
            {
                "l": {
                    "listen": {"to": {"one": typed()}, "read": "envelope"},
                    "output": {"as": "${ .[0] | {id, type, author_ref} }"},
                }
            }
        ],
        events=[event("1")],
        output={"id": "1", "type": "org.example.done", "author_ref": "main@roles/someone?1"},
    ),
    Scenario(
        "any takes any",
        listen({"any": [typed("a"), typed("b")]}),
        events=[event("1", "b", data="b")],
        output=["b"],
    ),
    Scenario(
        "any without filters takes everything",
        listen({"any": []}),
        events=[event("1", "z", data="z")],
        output=["z"],
    ),
    Scenario(
        "all takes one of each, in order of arrival",
        listen({"all": [typed("a"), typed("b")]}),
        events=[event("1", "b", data="b"), event("2", "b"), event("3", "a", data="a")],
        output=["b", "a"],
    ),
    Scenario(
        "until ends with other events",
        listen({"any": [typed("a")], "until": {"one": typed("stop")}}),
        events=[event("1", "a", data=1), event("2", "a", data=2), event("3", "stop")],
        output=[1, 2],
    ),
    Scenario(
        "a filter looks into the data",
        listen({"one": typed(data="${ .n > 1 }")}),
        events=[event("1", data={"n": 1}), event("2", data={"n": 2})],
        output=[{"n": 2}],
    ),
    Scenario(
        "a filter compares with data",
        listen({"one": typed(data={"k": "${ .k }"})}),
        input={"k": 2},
        events=[event("1", data={"k": 1}), event("2", data={"k": 2, "x": 0})],
        output=[{"k": 2, "x": 0}],
    ),
    Scenario(
        "a filter is a regular expression",
        listen({"one": typed("org\\.example\\.d.*")}),
        events=[event("0", "org-example-d"), event("1", data=1)],
        output=[1],
    ),
    Scenario(
        "a filter asks who sent it",
        listen({"one": typed(author_ref="main@roles/boss?1")}),
        events=[event("1", data=1), event("2", data=2, author_ref="main@roles/boss?1")],
        output=[2],
    ),
    Scenario(
        "events are correlated",
        listen(
            {
                "all": [
                    {**typed("a"), "correlate": {"order": {"from": "${ .data.order }"}}},
                    {**typed("b"), "correlate": {"order": {"from": "${ .data.order }"}}},
                ]
            }
        ),
        events=[
            event("1", "a", data={"order": 1}),
            event("2", "b", data={"order": 2}),
            event("3", "b", data={"order": 1}),
        ],
        output=[{"order": 1}, {"order": 1}],
    ),
    Scenario(
        "something is done for each event",
        listen(
            {"any": [typed()], "until": "${ length == 2 }"},
            foreach={
                "item": "e",
                "at": "i",
                "do": [{"a": says(n="${ $e * 10 + $i }")}],
                "output": {"as": "${ .n }"},
            },
        ),
        events=[event("1", data=1), event("2", data=2)],
        output=[10, 21],
    ),
    Scenario(
        "two listeners share no event",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {"a": {"listen": {"to": {"one": typed()}}}},
                            {"b": {"listen": {"to": {"one": typed()}}}},
                        ]
                    }
                }
            }
        ],
        events=[event("1", data=1), event("2", data=2)],
        output=[[1], [2]],
    ),
    Scenario(
        "listening has a timeout",
        [{"l": {"listen": {"to": {"one": typed()}}, "timeout": {"after": {"milliseconds": 20}}}}],
        fault={"type": STANDARD + "timeout"},
    ),
]

SCENARIOS = [*DATA, *FLOW, *ERRORS, *CALLS, *EVENTS]
