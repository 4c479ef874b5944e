"""Calls, and processes that are run."""

from __future__ import annotations

from typing import Any, Final
from unittest.mock import ANY

from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.scenario import STANDARD, WORLD, Scenario, fails, get, says
from tests.replay.case import WAITS, case
from tests.replay.steering import cancel_while_a_child_runs

_PETS: Final = {
    "openapi": "3.0.0",
    "servers": [{"url": WORLD}],
    "paths": {"/pets/{id}": {"get": {"operationId": "getPet", "parameters": [{"name": "id", "in": "path"}]}}},
}


def _process(name: str, do: list[dict[str, Any]]) -> Draft:
    return Draft(type=VibeType.PROCESS, id=f"processes/{name}", solution=Scenario(name, do).document)


def _capability(**solution: Any) -> Draft:
    return Draft(type=VibeType.CAPABILITY, id="capabilities/x", solution=solution)


def _run(name: str, **more: Any) -> dict[str, Any]:
    workflow = {"name": name, "namespace": "x", "version": "1.0.0", "input": {"n": "${ .n }"}}
    return {"run": {"workflow": workflow, **more}}


_INC: Final = [{"a": says(n="${ .n + 1 }")}]
OUTSIDE: Final = [
    case(
        "run-awaited",
        [{"r": _run("aug:/inc")}, {"s": _run("aug:/inc")}],
        shows="CHILD_WORKFLOW_EXECUTION_COMPLETED",
        vibes={"aug:/inc": _process("inc", _INC)},
        input={"n": 1},
        output={"n": 3},
    ),
    case(
        "run-not-awaited",
        [{"r": _run("aug:/inc", **{"await": False})}, {"a": get("/x")}],
        shows="CHILD_WORKFLOW_EXECUTION_STARTED",
        vibes={"aug:/inc": _process("inc", _INC)},
        input={"n": 1},
        answers={"/x": [(200, 1)]},
        output=1,
    ),
    case(
        "run-faults",
        [{"r": _run("aug:/bad")}],
        shows="CHILD_WORKFLOW_EXECUTION_FAILED",
        vibes={"aug:/bad": _process("bad", [{"a": fails(418)}])},
        input={"n": 1},
        fault={"status": 418},
    ),
    case(
        "cancel-reaches-a-child",
        [{"r": _run("aug:/waits")}],
        shows="WORKFLOW_EXECUTION_CANCELED",
        vibes={"aug:/waits": _process("waits", [{"w": WAITS}])},
        steering=cancel_while_a_child_runs,
        input={"n": 1},
        output=ANY,
    ),
    case(
        "input-by-ref",
        [{"a": get("/x")}, {"b": says(n="${ $workflow.input.n }")}],
        by_ref=True,
        input={"n": 1},
        answers={"/x": [(200, 1)]},
        output={"n": 1},
    ),
    case(
        "http",
        [
            {
                "a": {
                    "call": "http",
                    "with": {
                        "method": "post",
                        "endpoint": f"{WORLD}/{{n}}",
                        "headers": {"X-N": "${ .n | tostring }"},
                        "query": {"q": "${ .n }"},
                        "body": {"n": "${ .n }"},
                        "output": "response",
                    },
                    "output": {"as": "${ .content }"},
                }
            }
        ],
        input={"n": 1},
        answers={"/1": [(200, {"m": 1})]},
        output={"m": 1},
    ),
    case(
        "openapi",
        [
            {
                "a": {
                    "call": "openapi",
                    "with": {
                        "document": {"endpoint": "aug:/apis/pets"},
                        "operationId": "getPet",
                        "parameters": {"id": "${ .n }"},
                    },
                }
            }
        ],
        vibes={"aug:/apis/pets": Draft(type=VibeType.RECORD, id="apis/pets", solution=_PETS)},
        input={"n": 1},
        answers={"/pets/1": [(200, {"name": "Rex"})]},
        output={"name": "Rex"},
    ),
    case(
        "grpc-refused",
        [
            {
                "a": {
                    "call": "grpc",
                    "with": {
                        "service": {"name": "test.Nobody", "host": "world.test", "port": 443},
                        "method": "Ask",
                        "arguments": {"n": "${ .n }"},
                    },
                }
            }
        ],
        input={"n": 1},
        fault={"instance": "/do/0/a"},
    ),
    case(
        "capability",
        [{"a": {"call": "aug:/capabilities/x", "with": {"n": "${ .n }"}}}],
        vibes={
            "aug:/capabilities/x": _capability(
                call="http",
                **{"with": {"method": "get", "endpoint": f"{WORLD}/{{n}}"}},
                output={"as": "${ {m: .value} }"},
            )
        },
        input={"n": 1},
        answers={"/1": [(200, {"value": 2})]},
        output={"m": 2},
    ),
    case(
        "capability-python",
        [
            {
                "a": {
                    "call": "aug:/capabilities/x",
                    "with": {"drafts": [{"type": "RECORD", "id": "notes/1", "solution": {"n": "${ .n }"}}]},
                }
            }
        ],
        vibes={
            "aug:/capabilities/x": _capability(call="python", **{"with": {"function": "refinery.refine"}})
        },
        input={"n": 1},
        output={"refs": ["main@notes/1?1"]},
    ),
    case(
        "result-refused",
        [{"a": says(n="one")}],
        top={"output": {"schema": {"resource": {"endpoint": "aug:/schemas/n"}}}},
        vibes={
            "aug:/schemas/n": Draft(
                type=VibeType.RECORD, id="schemas/n", schema={"properties": {"n": {"type": "integer"}}}
            )
        },
        fault={"type": STANDARD + "validation"},
    ),
]
