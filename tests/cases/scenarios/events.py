"""Events and listening."""

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
        "what comes after the end is not read, whatever waits",
        listen({"any": [typed("a")], "until": {"one": typed("stop")}}),
        events=[event("1", "a", data=1), event("2", "stop"), event("3", "a", data=3)],
        output=[1],
    ),
    Scenario(
        "until needs all of its events, in whatever order",
        listen({"any": [typed("a")], "until": {"all": [typed("s1"), typed("s2")]}}),
        events=[
            event("1", "a", data=1),
            event("2", "s2"),
            event("3", "a", data=3),
            event("4", "s1"),
            event("5", "a", data=5),
        ],
        output=[1, 3],
    ),
    Scenario(
        "an event that ends is not taken for one to read",
        listen({"any": [], "until": {"one": typed("stop")}}),
        events=[event("1", "a", data=1), event("2", "stop", data=2)],
        output=[1],
    ),
    Scenario(
        "any event ends where none is named",
        listen({"any": [typed("a")], "until": {"any": []}}),
        events=[event("1", "b", data=1), event("2", "a")],
        output=[],
    ),
    Scenario(
        "what is done for an event is done to its end",
        listen(
            {"any": [typed("a")], "until": {"one": typed("stop")}},
            foreach={"item": "e", "do": [{"w": {"wait": {"milliseconds": 20}}}, {"s": says(n="${ $e }")}]},
        ),
        events=[event("1", "a", data=1), event("2", "a", data=2), event("3", "stop")],
        output=[{"n": 1}, {"n": 2}],
    ),
    Scenario(
        "an event of another type is not asked for its data",
        listen({"one": {"with": {"data": "${ .temperature > 38 }", "type": "a"}}}),
        events=[event("1", "b", data="ping"), event("2", "a", data={"temperature": 39})],
        output=[{"temperature": 39}],
    ),
    Scenario(
        "an event whose data cannot be looked at is not meant",
        listen({"one": typed("a", data="${ .temperature > 38 }")}),
        events=[event("1", "a", data="ping"), event("2", "a", data={"temperature": 39})],
        output=[{"temperature": 39}],
    ),
    Scenario(
        "an expression that gives no boolean is compared with the data",
        listen({"one": typed("a", data="${ {id: $input.id} }")}),
        input={"id": 1},
        events=[event("1", "a", data={"id": 2}), event("2", "a", data={"id": 1, "n": 0})],
        output=[{"id": 1, "n": 0}],
    ),
    Scenario(
        "a text that is no regular expression is a text",
        listen({"any": [typed("(a"), typed("b")]}),
        events=[event("1", "a", data=1), event("2", "b", data=2)],
        output=[2],
    ),
    Scenario(
        "a source may be a regular expression",
        listen({"one": {"with": {"source": "https://[a-z]+\\.example\\.com"}}}),
        events=[
            event("1", source="https://x.other.com", data=1),
            event("2", source="https://x.example.com", data=2),
        ],
        output=[2],
    ),
    Scenario(
        "an event is known by its other attributes too",
        [
            {
                "l": {
                    "listen": {
                        "to": {"one": {**typed(roomid="7"), "correlate": {"r": {"from": "${ .roomid }"}}}},
                        "read": "envelope",
                    },
                    "output": {"as": "${ .[0] | {id, roomid, time} }"},
                }
            }
        ],
        events=[
            event("1", attributes={"roomid": "6"}),
            event("2", attributes={"roomid": "7", "time": "2030-01-01T00:00:00Z"}),
        ],
        output={"id": "2", "roomid": "7", "time": "2030-01-01T00:00:00Z"},
    ),
    Scenario(
        "a correlation that cannot be looked at correlates nothing",
        listen({"one": {**typed("a"), "correlate": {"n": {"from": "${ .data.n }", "expect": "x"}}}}),
        events=[event("1", "a", data="text"), event("2", "a", data={"n": "x"})],
        output=[{"n": "x"}],
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
