from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen
from process_worker.engine.keys import commit_key
from process_worker.records.execution import ExecutionRecord
from process_worker.records.record import asked as asked_of
from process_worker.records.schedule import ScheduleRecord
from process_worker.workflow.keys import result_key, workflow_id
from process_worker.workflow.messages import MAX_INLINE_BYTES
from refinery_client import ABSENT, Draft
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
SCHEMA = {"$ref": "aug:main@p?1#/properties/input"}
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


DEEP: Any = 1
for _ in range(64):
    DEEP = [DEEP]
GOLDEN: Final = json.loads(Path(__file__).with_suffix(".json").read_text())
"""The drafts that the released worker makes: id, expected revision, schema and solution, to the byte."""
NAMED: Final[dict[str, Any]] = {"result_id": "results/1", "budget_refs": ("aug:/b",)}
ASKED: Final[dict[str, tuple[ExecuteProcess, Frozen]]] = {
    "small": (command({"a": 1}), FROZEN),
    "named": (command(**NAMED), replace(FROZEN, budget_refs=("main@b?3",))),
    "checked": (command({"a": 1}, branch="main"), replace(FROZEN, input_schema=SCHEMA)),
    "deep": (command(DEEP), replace(FROZEN, input_schema=SCHEMA)),
}


def shown(drafts: Iterable[Draft]) -> list[list[Any]]:
    messages = [(each.expected_revision, each.message("x")) for each in drafts]
    return [[made.id, expected, made.schema.json, made.solution.json] for expected, made in messages]


def solution_of(draft: Draft) -> Any:
    return json.loads(draft.message("x").solution.json)


@pytest.mark.parametrize("name", ASKED)
def test_records_are_those_of_the_released_worker_to_the_byte(name: str) -> None:
    asked, frozen = ASKED[name]
    record = ExecutionRecord.of(asked, frozen)
    drafts = record.drafts(asked.input, ExecutionRecord.id_of(ID), frozen.input_schema)
    assert shown(drafts) == GOLDEN[f"execution: {name}"]
    kept = ExecutionRecord.from_solution(solution_of(drafts[0]))
    assert kept == record
    assert asdict(kept.start("dev@executions/x?1")) == GOLDEN[f"start: {name}"]
    made = ScheduleRecord.of(asked, replace(frozen, process=SCHEDULED))
    drafts = made.drafts(asked.input, ScheduleRecord.id_of(ID), frozen.input_schema)
    assert shown(drafts) == GOLDEN[f"schedule: {name}"]
    assert ScheduleRecord.from_solution(solution_of(drafts[0])) == made


def test_the_times_of_a_schedule_are_those_of_the_released_worker_to_the_byte() -> None:
    every = replace(FROZEN, process=replace(PROCESS, schedule=Schedule(every=90_000)))
    made = ScheduleRecord.of(command({"a": 1}), every)
    drafts = made.drafts(command({"a": 1}).input, ScheduleRecord.id_of(ID))
    assert shown(drafts) == GOLDEN["schedule: every"]
    assert ScheduleRecord.from_solution(solution_of(drafts[0])) == made


def test_the_record_of_a_child_is_that_of_the_released_worker_to_the_byte() -> None:
    child = ExecutionRecord(
        process_ref="main@processes/p?3",
        parent_ref="main@executions/e?1",
        author_ref="main@roles/a?4",
        branch="main",
        result_id="processes/p/results/x",
        target_refs=[],
        budget_refs=[],
        frozen={"aug:/b": "main@b?3"},
    )
    input_, id_ = from_value({"n": 1}), ExecutionRecord.id_of(ID)
    assert shown(child.with_input(input_, id_).drafts(input_, id_)) == GOLDEN["child"]


def test_a_member_of_a_newer_worker_is_left_out() -> None:
    content = ExecutionRecord.of(command({"a": 1}), FROZEN).to_solution()
    assert ExecutionRecord.from_solution({**content, "newer": 1}) == ExecutionRecord.from_solution(content)


def test_a_record_with_a_member_of_another_kind_is_none_of_ours() -> None:
    for kind in (ExecutionRecord, ScheduleRecord):
        content = kind.of(command({"a": 1}), replace(FROZEN, process=SCHEDULED)).to_solution()
        for name in content.keys() - {"input"}:
            with pytest.raises(TypeError):
                kind.from_solution({**content, name: 1})
            if name not in {"asked", "cron"}:
                with pytest.raises(TypeError):
                    kind.from_solution({key: value for key, value in content.items() if key != name})


def test_an_input_that_is_too_large_or_too_deep_is_a_record_of_its_own() -> None:
    for input_ in ("x" * MAX_INLINE_BYTES, DEEP):
        asked = command(input_)
        made = ExecutionRecord.of(asked, FROZEN)
        assert made.input is ABSENT
        assert made.input_ref == f"dev@executions/{ID}/input?1"
        record, stored = made.drafts(asked.input, ExecutionRecord.id_of(ID))
        assert (record.id, stored.id) == (f"executions/{ID}", f"executions/{ID}/input")
        assert stored.expected_revision == 0


def test_a_result_that_nobody_could_refer_to_is_refused_before_anything_happens() -> None:
    room = MAX_LINE - len(f"dev/results/{ID}")
    for length in (room, room + 1):
        frozen = replace(FROZEN, process_ref=f"dev@{'p' * length}?1", process=SCHEDULED)
        for kind in (ExecutionRecord, ScheduleRecord):
            with nullcontext() if length == room else pytest.raises(InvalidField, match=r"^result_id: "):
                kind.of(command(), frozen)
            kind.of(command(result_id="results/1"), frozen)


@pytest.mark.parametrize("folder", ["executions", "schedules"])
def test_a_result_in_the_place_of_a_record_is_refused_before_anything_happens(folder: str) -> None:
    frozen = replace(FROZEN, process_ref=f"dev@{folder}/p?1", process=SCHEDULED)
    for kind in (ExecutionRecord, ScheduleRecord):
        for result_id in (f"{folder}/{ID}", None):
            with pytest.raises(InvalidField, match=rf"^result_id: is under '{folder}/'"):
                kind.of(command(result_id=result_id), frozen)
        kind.of(command(result_id=folder), frozen)


def test_two_requests_are_the_same_only_if_all_that_was_sent_is_the_same() -> None:
    asked = asked_of(command())
    assert asked_of(command()) == asked
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
        assert asked_of(command(**change)) != asked


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
