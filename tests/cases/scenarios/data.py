"""The flow of data between tasks."""

from __future__ import annotations

from tests.cases.scenario import STANDARD, Scenario, says

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
        "the context is checked also where it stays as it is",
        [{"a": {**says(n=1), "export": {"schema": {"document": {"required": ["first"]}}}}}],
        fault={"type": STANDARD + "validation", "instance": "/do/0/a"},
    ),
    Scenario(
        "arguments of a function are what they were when it was called",
        [{"a": {"call": "f", "with": {"x": "${ ($context.k // 0) + 1 }"}}}],
        top={
            "use": {
                "functions": {
                    "f": {
                        "do": [
                            {"one": {**says(x="${ .x }"), "export": {"as": '${ "text" }'}}},
                            {"two": says(x="${ .x + 1 }")},
                        ]
                    }
                }
            }
        },
        output={"x": 2},
    ),
    Scenario(
        "a task is named by its place in the document",
        [{"f": {"for": {"in": "${ [1, 2] }"}, "do": [{"a": says(at="${ $task.reference }")}]}}],
        output={"at": "/do/0/f/do/0/a"},
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
    Scenario(
        "$runtime, $task and $workflow describe what is carried out, where, and since when",
        [
            {
                "a": says(
                    runtime="${ $runtime.name }",
                    definition="${ $task.definition.set.definition | type }",
                    name="${ $workflow.definition.document.name }",
                    since="${ $task.startedAt.epoch.seconds >= $workflow.startedAt.epoch.seconds }",
                )
            }
        ],
        output={"runtime": "refinery", "definition": "string", "name": "scenario", "since": True},
    ),
    Scenario(
        "output.as reads what came in and what came out",
        [
            {
                "a": {
                    **says(n="${ .n + 1 }"),
                    "input": {"from": "${ {n: .m} }"},
                    "output": {"as": "${ {x: $input.n, y: .n, all: $task.output, raw: $task.input} }"},
                }
            }
        ],
        input={"m": 1},
        output={"x": 1, "y": 2, "all": {"n": 2}, "raw": {"m": 1}},
    ),
    Scenario(
        "a condition reads the raw input",
        [{"a": {**says(n=2), "if": "${ .m == 1 }", "input": {"from": "${ {} }"}}}],
        input={"m": 1},
        output={"n": 2},
    ),
    Scenario(
        "a schema refuses the input of a task, before it is reshaped",
        [
            {
                "a": {
                    **says(n=1),
                    "input": {"schema": {"document": {"required": ["n"]}}, "from": "${ {n: 1} }"},
                }
            }
        ],
        input={},
        fault={"type": STANDARD + "validation", "status": 400, "instance": "/do/0/a"},
    ),
    Scenario(
        "a schema refuses the output of the process, after it is reshaped",
        [{"a": says(n=1)}],
        top={"output": {"as": "${ {m: .n} }", "schema": {"document": {"required": ["n"]}}}},
        fault={"type": STANDARD + "validation", "instance": "/output"},
    ),
]
