"""Calls travel as the JSON that the released worker writes; `test_calls.jsonl` has its bytes, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from process_worker.activities.outside.calls import _alone
from process_worker.engine import calls
from process_worker.engine.calls import HttpCall, RunProcess, read, written
from process_worker.engine.faults import Fault
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.ports import Request
from process_worker.engine.run import Setting
from process_worker.jq.evaluator import Evaluator
from process_worker.workflow import steps
from refinery_core.process.checker import read_capability, read_process
from refinery_core.process.model import Process
from tests.cases.scenario import Scenario
from tests.replay import corpus
from tests.unit.process_worker.world import World, fly

ROWS: Final = [json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text().splitlines()]
BEHALF: Final = steps.Behalf("main@roles/a?4", "main", "main@processes/p?3", "main@executions/e?1")
IDS: Final = ("apis/pets", "capabilities/x", "processes/p", "roles/a")
SETTING: Final = Setting(
    "execution/6f3e4a52-4f6e-4c57-9d4d-2f4f0a3c1b11",
    input={"n": 1, "t": "a/ü"},
    frozen={f"aug:/{id_}": f"main@{id_}?{number}" for number, id_ in enumerate(IDS, 1)},
)
CONVERTER: Final = DataConverter.default.payload_converter


class Asked(World):
    """A world that answers null, whatever is asked."""

    async def perform(self, request: Request) -> Any:
        self.requests.append(request)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


def requested(task: dict[str, Any], evaluator: Evaluator) -> Request:
    """The one request that a process of this task makes, or a capability."""

    async def carry_out(process: Process) -> None:
        await Interpreter(process, world, SETTING).run()

    world = Asked(evaluator)
    whole = Scenario("t", [{"t": task}], top={"use": {"secrets": ["TOKEN"]}}).document
    fly(carry_out(_alone(read_capability(task)) if task.get("call") == "python" else read_process(whole)))
    (request,) = world.requests
    return request


def bytes_of(message: Any) -> str:
    payload = CONVERTER.to_payload(message)
    assert payload is not None
    return payload.data.decode()


def performed(wire: str) -> steps.Perform:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=wire.encode())
    found: steps.Perform = CONVERTER.from_payload(payload, steps.Perform)
    return found


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_call_is_written_as_by_the_released_worker(row: dict[str, Any], evaluator: Evaluator) -> None:
    request = requested(row["task"], evaluator)
    assert not isinstance(request.call, RunProcess)
    frozen = json.loads(row["wire"])["frozen"]
    assert bytes_of(steps.Perform.of(request, request.call, BEHALF, frozen)) == row["wire"]
    assert performed(row["wire"]).call == request.call


def test_every_kind_of_call_is_in_the_table() -> None:
    found = {json.loads(row["wire"])["kind"] for row in ROWS}
    assert found == calls._KINDS.keys() - {"fetch"}  # The workflow asks for it, and stored histories have it.


def test_calls_in_stored_histories_are_read_and_written_again_as_they_were() -> None:
    kinds = set[str]()
    for history in (run for name in corpus.names() for run in corpus.read(corpus.path(name))):
        for event in history.events:
            scheduled = event.activity_task_scheduled_event_attributes
            if scheduled.activity_type.name == steps.PERFORM:
                (payload,) = scheduled.input.payloads
                asked = performed(payload.data.decode())
                assert (asked.call.KIND, written(asked.call)) == (asked.kind, asked.what)
                kinds.add(asked.kind)
    assert kinds >= {"http", "openapi", "grpc", "capability", "emit", "fetch"}


def test_a_call_of_a_newer_worker_is_read_as_far_as_it_is_known() -> None:
    what = {"method": "GET", "uri": "http://x.test/", "newer": 1, "authentication": None}
    assert read("http", what) == HttpCall("GET", "http://x.test/")
    with pytest.raises(Fault, match="a call of telepathy is not supported by this worker"):
        read("telepathy", {})
