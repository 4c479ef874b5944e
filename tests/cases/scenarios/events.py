"""What is listened to."""

from __future__ import annotations

from tests.cases.scenario import STANDARD, Scenario, event, listen, says, typed

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
