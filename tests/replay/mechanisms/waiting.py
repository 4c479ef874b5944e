"""Time: waits, timeouts, retries, and new runs."""

from __future__ import annotations

from typing import Final
from unittest.mock import ANY

from tests.cases.scenario import STANDARD, event, get, listen, says, typed
from tests.replay.case import BLINKS, LATE, WAITS, case
from tests.replay.steering import cancel

_FLAKY: Final = {"/flaky": [(503, None), (503, None), (200, {"ok": True})]}

_LOOP: Final = {
    "for": {"in": "${ [range(4)] }", "each": "x"},
    "do": [
        {"t": {"try": [{"a": get("/flaky")}], "catch": {"retry": {"limit": {"attempt": {"count": 2}}}}}},
        {"s": {**says(sum="${ ($context.sum // 0) + $x }"), "export": {"as": "${ . }"}}},
    ],
}

WAITING: Final = [
    case(
        "wait-timeout",
        [{"t": {"try": [{"w": {**WAITS, "timeout": {"after": {"milliseconds": 50}}}}], **LATE}}],
        shows="TIMER_CANCELED",
        output={"late": True},
    ),
    case(
        "call-timeout",
        [{"t": {"try": [{"a": get("/x", timeout={"after": {"milliseconds": 100}})}], **LATE}}],
        shows="ACTIVITY_TASK_CANCEL_REQUESTED",
        delay=3.0,  # A timer may be late by a second.
        answers={"/x": [(200, 1)]},
        output={"late": True},
    ),
    case(
        "in-time",
        [{"a": get("/x", timeout={"after": "P1D"})}, {"w": {**BLINKS, "timeout": {"after": "P1D"}}}],
        shows="TIMER_CANCELED",
        answers={"/x": [(200, 1)]},
        output=1,
    ),
    case(
        "process-timeout",
        [{"a": WAITS}],
        top={"timeout": {"after": {"milliseconds": 50}}},
        fault={"type": STANDARD + "timeout"},
    ),
    case(
        "retry-backoff-jitter",
        [
            {
                "t": {
                    "try": [{"a": get("/flaky")}],
                    "catch": {
                        "retry": {
                            "delay": {"milliseconds": 10},
                            "backoff": {"exponential": {}},
                            "jitter": {"from": {"milliseconds": 1}, "to": {"milliseconds": 90}},
                            "limit": {"attempt": {"count": 2}},
                        }
                    },
                }
            }
        ],
        shows="TIMER_FIRED",
        answers=_FLAKY,
        output={"ok": True},
    ),
    case(
        "retries-end",
        [
            {
                "t": {
                    "try": [{"a": get("/x", timeout={"after": "P1D"})}],
                    "catch": {
                        "retry": {
                            "delay": {"milliseconds": 5},
                            "backoff": {"linear": {}},
                            "limit": {"attempt": {"count": 2, "duration": "P1D"}},
                        },
                        "do": [{"b": get("/b")}],
                    },
                }
            }
        ],
        answers={"/x": [(503, None)], "/b": [(200, 1)]},
        output=1,
    ),
    case(
        "new-runs",
        [{"t": {"try": [{"f": _LOOP}], "catch": {"do": [{"b": says(n=0)}]}}}],
        shows="WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        max_history=30,
        answers={"/flaky": [(503, None), (503, None), (200, 1)]},
        output={"sum": 6},
    ),
    case(
        "new-runs-keep-events",
        [{"w": BLINKS}, {"a": get("/a")}, *listen({"all": [typed("a"), typed("b")]})],
        shows="WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
        max_history=1,
        events=[event("1", "b", data="b"), event("2", "a", data="a")],
        answers={"/a": [(200, 1)]},
        output=["b", "a"],
    ),
    case(
        "cancel-compensates",
        [
            {
                "f": {
                    "fork": {
                        "branches": [
                            {
                                "a": {
                                    "try": [{"l": {"listen": {"to": {"one": typed()}}}}],
                                    "catch": {"do": [{"w": BLINKS}, {"u": get("/undo")}]},
                                }
                            },
                            {"b": WAITS},
                        ]
                    }
                }
            }
        ],
        shows="WORKFLOW_EXECUTION_CANCELED",
        steering=cancel,
        answers={"/undo": [(200, 1)]},
        output=ANY,
        calls=["/undo"],
    ),
]
