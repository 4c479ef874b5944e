from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.engine.keys import commit_key
from process_worker.records import execution as records
from process_worker.records import schedule as schedule_records
from process_worker.workflow.keys import result_key, workflow_id
from process_worker.workflow.messages import MAX_INLINE_BYTES
from refinery_core.errors import InvalidField
from refinery_core.fields import MAX_LINE
from refinery_core.process.checker import read_process
from refinery_core.process.model import Schedule
from refinery_core.vibe.documents import from_value

ID = UUID("6f3e1c1e-8f0b-4c5a-9a55-0d2f7f5a3c11")
PROCESS = read_process(
    {
        "document": {"dsl": "1.0.3", "namespace": "tests", "name": "small", "version": "1.0.0"},
        "do": [{"first": {"set": {"a": 1}}}],
    }
)
SCHEDULED = replace(PROCESS, schedule=Schedule(cron="0 6 * * *"))
FROZEN = Frozen(
    PROCESS, "dev@processes/small?2", "main@roles/local?1", ("main@a?1",), (), {"aug:/b": "main@b?3"}
)


def command(input_: Any = None, **fields: Any) -> ExecuteProcess:
    given: dict[str, Any] = {
        "request_id": ID,
        "process": "aug:/processes/small",
        "author_ref": "aug:/roles/local",
        "input": from_value({} if input_ is None else input_),
        "target_refs": ("aug:/a",),
        "budget_refs": (),
        "branch": "dev",
        "result_id": None,
    }
    return ExecuteProcess(**given | fields)


def test_the_workflow_is_started_from_the_record_alone() -> None:
    content = records.solution(command({"a": 1}), FROZEN)
    start = records.start("dev@executions/x?1", content)
    assert start.process_ref == FROZEN.process_ref
    assert start.author_ref == FROZEN.author_ref
    assert start.target_refs == ["main@a?1"]
    assert start.frozen == {"aug:/b": "main@b?3"}
    assert (start.input, start.input_ref) == ({"a": 1}, None)
    assert start.result_id == f"processes/small/results/{ID}"
    assert start.branch == "dev"


def test_an_input_that_is_too_large_or_too_deep_is_a_record_of_its_own() -> None:
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    for input_ in ("x" * MAX_INLINE_BYTES, deep):
        asked = command(input_)
        content = records.solution(asked, FROZEN)
        assert "input" not in content
        assert content["input_ref"] == f"dev@executions/{ID}/input?1"
        record, stored = records.drafts(asked.input, content, records.record_id(ID))
        assert (record.id, stored.id) == (f"executions/{ID}", f"executions/{ID}/input")
        assert stored.expected_revision == 0


def test_a_result_that_nobody_could_refer_to_is_refused_before_anything_happens() -> None:
    room = MAX_LINE - len(f"dev/results/{ID}")
    for length in (room, room + 1):
        frozen = replace(FROZEN, process_ref=f"dev@{'p' * length}?1", process=SCHEDULED)
        for content in (records.solution, schedule_records.solution):
            with nullcontext() if length == room else pytest.raises(InvalidField, match=r"^result_id: "):
                content(command(), frozen)
            content(command(result_id="results/1"), frozen)


@pytest.mark.parametrize("folder", ["executions", "schedules"])
def test_a_result_in_the_place_of_a_record_is_refused_before_anything_happens(folder: str) -> None:
    frozen = replace(FROZEN, process_ref=f"dev@{folder}/p?1", process=SCHEDULED)
    for content in (records.solution, schedule_records.solution):
        for result_id in (f"{folder}/{ID}", None):
            with pytest.raises(InvalidField, match=rf"^result_id: is under '{folder}/'"):
                content(command(result_id=result_id), frozen)
        content(command(result_id=folder), frozen)


def test_two_requests_are_the_same_only_if_all_that_was_sent_is_the_same() -> None:
    asked = records.asked(command())
    assert records.asked(command()) == asked
    changes: list[dict[str, Any]] = [
        {"input_": {"a": 1}},
        {"process": "aug:/processes/other"},
        {"author_ref": "main@roles/local?1"},
        {"target_refs": ()},
        {"budget_refs": ("aug:/a",)},
        {"branch": "main"},
        {"result_id": "results/1"},
    ]
    for change in changes:
        assert records.asked(command(**change)) != asked


def test_commits_have_the_same_key_however_often_they_are_tried_and_no_other_has_it() -> None:
    workflow = workflow_id(ID)
    assert workflow == f"execution/{ID}"
    keys = [
        commit_key(workflow, "/do/0/a"),
        commit_key(workflow, "/do/0/a", 2),
        commit_key(workflow, "/do/1/a"),
        commit_key(workflow_id(UUID(int=1)), "/do/0/a"),
        result_key(workflow),
    ]
    assert len(set(keys)) == len(keys)
    assert commit_key(workflow, "/do/0/a") == keys[0]
    assert result_key(workflow) == UUID("03b8b9ee-4887-5990-a396-26457fd47ed9")
