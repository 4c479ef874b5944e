from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from process_worker.door import wire
from process_worker.door.commands import Called
from process_worker.engine.contract import TaskEvent
from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from refinery_client import ABSENT, Execution, ExecutionState
from refinery_client.executions import called_from, event_from, execution_from
from refinery_core.errors import RefineryError
from refinery_core.process.standard_errors import Problem
from refinery_core.vibe.documents import from_value
from refinery_core.wire import DocumentForm

ID = UUID("6f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11")
TIME = datetime(2026, 11, 21, 4, 5, 6, 789_012, tzinfo=UTC)
GOOD: dict[str, Any] = {"request_id": str(ID), "process": "aug:/p", "author_ref": "main@roles/local?1"}


def test_what_is_left_out_of_a_request_has_a_meaning() -> None:
    command = wire.execute_process(pb.ExecuteProcessRequest(**GOOD))
    assert command.input.value == {}
    assert command.branch == "main"
    assert command.result_id is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"process": ""}, "process"),
        ({"process": "aug:/a//b"}, "process"),
        ({"author_ref": ""}, "author_ref"),
        ({"target_refs": ["aug:/a", "x"]}, "target_refs[1]"),
        ({"target_refs": ["aug:/a"] * 401}, "target_refs"),
        ({"budget_refs": ["x"]}, "budget_refs[0]"),
        ({"branch": "a//b"}, "branch"),
        ({"result_id": "system/x"}, "result_id"),
        ({"result_id": "x" * 510}, "result_id"),
        ({"input": Document(json="{")}, "input"),
    ],
)
def test_a_request_that_cannot_be_read_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(RefineryError) as refused:
        wire.execute_process(pb.ExecuteProcessRequest(**GOOD | change))
    assert refused.value.metadata["field"] == field


def test_an_execution_arrives_as_it_was_sent() -> None:
    problem = Problem("about:blank", 418, "It is a teapot", "short and stout", "/do/0/a")
    execution = Execution(
        id=ID,
        process_ref="main@p?1",
        state=ExecutionState.FAULTED,
        start_time=TIME,
        record_ref="main@executions/x?1",
        end_time=TIME,
        tasks=("/do/0/a",),
        listening=({"one": {"with": {"type": "t"}}},),
        result_ref=None,
        problem=problem,
    )
    for form in DocumentForm:
        assert wire.execution_message(execution, form).problem.detail == "short and stout"
    arrived = execution_from(wire.execution_message(execution, DocumentForm.JSON))
    assert (arrived.id, arrived.state.value, arrived.start_time) == (ID, "FAULTED", TIME)
    assert arrived.listening == execution.listening
    assert arrived.result_ref is None
    assert arrived.problem is not None
    assert arrived.problem.instance == "/do/0/a"


def test_every_kind_of_event_has_its_number_in_the_contract() -> None:
    kinds = ("TASK_STARTED", "TASK_ENDED", "TASK_FAULTED", "TASK_RETRIED", "TASK_SKIPPED", "EXECUTION_ENDED")
    for number, kind in enumerate(kinds, 1):
        event = event_from(wire.event_message(TaskEvent(number, kind, "/do/0/a", 1_700_000_000_000_001)))
        assert (event.number, event.type.value) == (number, kind)
        assert event.time.microsecond == 1


# --- A capability alone -------------------------------------------------------------------

CALL: dict[str, Any] = {
    "request_id": str(ID),
    "capability": "aug:/c",
    "author_ref": "main@roles/local?1",
}


def test_what_is_left_out_of_a_call_has_a_meaning() -> None:
    command = wire.call_capability(pb.CallCapabilityRequest(**CALL))
    assert (command.request_id, command.input.value, command.branch) == (ID, {}, "main")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "one"}, "request_id"),
        ({"capability": ""}, "capability"),
        ({"capability": "capabilities/c"}, "capability"),
        ({"capability": "aug:/c#/call"}, "capability"),
        ({"author_ref": ""}, "author_ref"),
        ({"author_ref": "me"}, "author_ref"),
        ({"branch": "a//b"}, "branch"),
        ({"input": Document()}, "input"),
        ({"input": Document(json='{"a": 1, "a": 2}')}, "input"),
        ({"input": Document(json="[" * 65 + "]" * 65)}, "input"),
    ],
)
def test_a_call_that_cannot_be_read_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(RefineryError) as refused:
        wire.call_capability(pb.CallCapabilityRequest(**CALL | change))
    assert refused.value.metadata["field"] == field


@pytest.mark.parametrize("output", [None, {}, [1, "\u00e9"], False])
def test_an_output_arrives_as_it_was_sent_also_where_it_is_null(output: Any) -> None:
    message = wire.called_message(Called("main@c?1", output=from_value(output)), DocumentForm.JSON)
    called = called_from(message)
    assert (called.capability_ref, called.output, called.problem) == ("main@c?1", output, None)


def test_a_problem_arrives_in_place_of_an_output() -> None:
    problem = Problem("about:blank", 418, "It is a teapot", "short and stout")
    called = called_from(wire.called_message(Called("main@c?1", problem=problem), DocumentForm.JSON))
    assert called.output is ABSENT
    assert called.problem is not None
    assert (called.problem.status, called.problem.detail) == (418, "short and stout")
