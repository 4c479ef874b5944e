"""Calls and retries."""

from __future__ import annotations

from typing import Any

from tests.cases.scenario import STANDARD, WORLD, Scenario, fails, get, says


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
        "emit gives the event",
        [
            {
                "e": {
                    "emit": {
                        "event": {"with": {"type": "org.x", "source": "urn:x", "data": {"n": "${ .n }"}}}
                    },
                    "output": {"as": "${ .time |= length | .id |= length }"},
                }
            }
        ],
        input={"n": 1},
        output={
            "specversion": "1.0",
            "id": 36,
            "time": 24,
            "type": "org.x",
            "source": "urn:x",
            "data": {"n": 1},
        },
    ),
    *(
        Scenario(
            f"the {name} of an event is a string",
            [{"e": {"emit": {"event": {"with": {"type": "org.x", "source": "urn:x"} | {name: "${ .n }"}}}}}],
            input={"n": 5},
            fault={"type": STANDARD + "expression", "instance": "/do/0/e"},
            calls=[],
        )
        for name in ("source", "type", "id", "time", "subject")
    ),
    *(
        Scenario(
            f"the {name} of a call are an object",
            [{"a": get("/x", **{"with": {"method": "get", "endpoint": f"{WORLD}/x", name: "${ .n }"}})}],
            input={"n": 5},
            fault={"type": STANDARD + "expression", "instance": "/do/0/a"},
            calls=[],
        )
        for name in ("headers", "query")
    ),
    Scenario(
        "how long an attempt may take is said where there is no error yet",
        retried({"limit": {"attempt": {"count": 2, "duration": "${ $workflow.input.each }"}}}),
        input={"each": "PT1S"},
        answers=FLAKY,
        output={"ok": True},
    ),
]
