"""Events."""

from __future__ import annotations

from typing import Final
from unittest.mock import ANY

from tests.cases.scenario import event, get, listen, typed
from tests.replay.case import BLINKS, LATE, case
from tests.replay.steering import then_deliver

EVENTS: Final = [
    case(
        "listen-any-before",
        [{"w": BLINKS}, *listen({"any": [typed("a"), typed("b")]})],
        shows="WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        events=[event("0", "other"), event("1", "b", data="b"), event("1", "b", data="again")],
        output=["b"],
    ),
    case(
        "listen-all-before",
        [{"w": BLINKS}, *listen({"all": [typed("a"), typed("b")]})],
        shows="WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        events=[event("1", "b", data="b"), event("2", "b"), event("3", "a", data="a")],
        output=["b", "a"],
    ),
    case(
        "listen-after",
        [*listen({"all": [typed("a"), typed("b")]}), {"c": get("/c")}],
        shows="WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        steering=then_deliver(event("1", "b", data="b"), event("2", "a", data="a")),
        answers={"/c": [(200, 1)]},
        output=1,
    ),
    case(
        "listen-until",
        listen(
            {"any": [typed("a")], "until": {"one": typed("stop")}},
            foreach={"item": "e", "do": [{"a": get("/each")}], "output": {"as": "${ [$e, .] }"}},
        ),
        shows="WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        steering=then_deliver(event("1", "a", data=1), event("2", "a", data=2), event("3", "stop")),
        answers={"/each": [(200, 7)]},
        output=ANY,  # The event that ends it may come while another is handled.
    ),
    case(
        "listen-timeout",
        [
            {
                "t": {
                    "try": [
                        {
                            "l": {
                                "listen": {"to": {"one": typed()}},
                                "timeout": {"after": {"milliseconds": 50}},
                            }
                        }
                    ],
                    **LATE,
                }
            }
        ],
        shows="TIMER_FIRED",
        output={"late": True},
    ),
    case(
        "emit",
        [
            {
                "e": {
                    "emit": {
                        "event": {"with": {"type": "org.x", "source": "urn:x", "data": {"n": "${ .n }"}}}
                    },
                    "output": {"as": "${ .data }"},
                }
            }
        ],
        input={"n": 1},
        output={"n": 1},
    ),
]
