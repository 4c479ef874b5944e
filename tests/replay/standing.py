"""An execution that stands still deep inside of its process: its snapshots are stored, one of each form.

`make snapshot` stores one of today's form; CONTRIBUTING.md says when.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from process_worker.engine.contract import Delivery
from process_worker.engine.faults import Interrupted
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.run import Setting
from process_worker.engine.state import SNAPSHOT, State
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.checker import read_process
from tests.cases.scenario import Scenario, event, get, says, typed
from tests.unit.process_worker.world import World, fly

FOLDER: Final = Path(__file__).parent / "snapshots"
WORKFLOW: Final = "execution/6f3e4a52-4f6e-4c57-9d4d-2f4f0a3c1b11"
CAPABILITY: Final = "aug:/capabilities/c"
LOOKS: Final = 15
"""The number of times that the ports are not full yet. After them, the execution is in the second iteration
of a loop, in the `do` of a catch, in the second attempt there, before the last task."""

SCENARIO: Final = Scenario(
    "standing",
    [
        {"heard": {"listen": {"to": {"one": typed("first")}}, "export": {"as": "${ {heard: .} }"}}},
        {"called": {"call": CAPABILITY, "with": {"n": 1}}},
        {
            "each": {
                "for": {"each": "x", "in": "${ [1, 2, 3] }"},
                "timeout": {"after": "PT1H"},
                "do": [
                    {
                        "tried": {
                            "try": [{"a": get("/a")}],
                            "catch": {
                                "as": "error",
                                "do": [
                                    {
                                        "again": {
                                            "try": [{"b": get("/b")}, {"c": get("/c")}],
                                            "catch": {
                                                "retry": {
                                                    "delay": "PT1S",
                                                    "limit": {
                                                        "attempt": {"count": 3, "duration": "PT1M"},
                                                        "duration": "PT1H",
                                                    },
                                                }
                                            },
                                        }
                                    }
                                ],
                            },
                        }
                    },
                    {"noted": {**says(x="${ $x }"), "export": {"as": "${ $context + {x: $x} }"}}},
                ],
            }
        },
        {"later": {"listen": {"to": {"one": typed("second")}}}},
        {"all": says(context="${ $context }", later="${ . }", started="${ $workflow.startedAt.iso8601 }")},
    ],
    events=[
        event("1", "first", data=1),
        event("2", "second", data={"deep": [1, "two", None]}, attributes={"traceparent": "00-1-2-00"}),
    ],
    answers={
        "/a": [(500, None)],
        "/b": [(200, 1), (500, None), (200, 2)],
        "/c": [(200, 3)],
    },
)


async def carry_out(document: dict[str, Any], world: World, state: State | None = None) -> Any:
    """Begin, or resume a state, and return the output."""
    setting = Setting(WORKFLOW, frozen={CAPABILITY: "main@capabilities/c?1"})
    run = Interpreter(read_process(document), world, setting, state)
    for delivery in SCENARIO.events if state is None else ():
        run.state.mailbox.deliver(Delivery(**delivery))
    return await run.run()


def take(evaluator: Evaluator) -> dict[str, Any]:
    """Carry the scenario out until it pauses, and return its snapshot."""
    world = World(evaluator, SCENARIO.answers, full_every=LOOKS)
    try:
        fly(carry_out(SCENARIO.document, world))
    except Interrupted as interrupted:
        snapshot: dict[str, Any] = json.loads(json.dumps(interrupted.snapshot))
        return snapshot
    raise AssertionError("it came to its end")


def file(version: int) -> Path:
    """The file of a snapshot, by its version."""
    return FOLDER / f"{version}.json"


def store() -> None:
    """Store a snapshot of today's version, with all that is needed to resume from it."""
    with Evaluator(children=1) as evaluator:
        snapshot = take(evaluator)
        world = World(evaluator, SCENARIO.answers)
        output = fly(carry_out(SCENARIO.document, world))
    answers = {"/a": [(500, None)], "/b": [(200, 2)], "/c": [(200, 3)]}
    stored = {"document": SCENARIO.document, "answers": answers, "output": output, "snapshot": snapshot}
    file(SNAPSHOT).write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    store()
