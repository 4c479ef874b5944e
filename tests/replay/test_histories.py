"""Every stored history replays with today's engine, which asks for the same, and comes to the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes

from process_worker.engine.calls import HttpCall
from process_worker.engine.faults import Fault
from process_worker.engine.ports import Request
from process_worker.engine.state import Mailbox, State
from process_worker.jq.evaluator import Evaluator
from process_worker.temporal.codec import Codec, Keys
from process_worker.workflow import workflows
from process_worker.workflow.messages import Result
from process_worker.workflow.replayed import Replayed
from refinery_core.process.kinds import KINDS
from tests.integration.process.replaying import replay_run
from tests.replay import corpus
from tests.replay.case import Case
from tests.replay.cases import CASES, FIRING
from tests.replay.examples import FOLDER as EXAMPLES

NAMES = [*(case.name for case in CASES), FIRING]
CALLING = "http"
"""A history with a call, a result, and little else."""
MOST_BYTES = 1_500_000
OF_A_MACHINE = re.compile(
    r"/(?:tmp|home|root|work|usr|var|opt)/|127\.0\.0\.1|localhost|\.py\b|[0-9]+@|identity|stackTrace|password|token"
)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=2) as evaluator:
        yield evaluator


async def replayed(name: str, evaluator: Evaluator) -> None:
    """Replay all runs of a case."""
    for run in corpus.read(corpus.path(name)):
        await replay_run(run, evaluator)


@pytest.mark.parametrize("name", NAMES)
async def test_a_stored_history_replays(name: str, evaluator: Evaluator) -> None:
    await replayed(name, evaluator)


async def test_a_history_in_the_clear_replays_with_keys(evaluator: Evaluator, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"k" * 32)
    keyed = replace(
        DataConverter.default,
        payload_codec=Codec(Keys(str(tmp_path), "one")),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
    for name in (CALLING, "retry-backoff-jitter", "run-awaited", "new-runs"):
        for run in corpus.read(corpus.path(name)):
            await replay_run(run, evaluator, keyed)


# --- What is stored -----------------------------------------------------------------------


def test_every_case_is_stored_and_nothing_else() -> None:
    assert corpus.names() == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_every_example_is_a_case() -> None:
    examples = {path.stem for path in EXAMPLES.glob("*.yaml")}
    assert examples
    titles = {case.scenario.document["document"]["name"] for case in CASES}
    assert examples <= titles


def test_every_kind_of_task_and_of_call_is_in_a_case() -> None:
    text = "\n".join(corpus.path(name).read_text() for name in NAMES)
    asked = {"http", "openapi", "grpc", "capability", "emit", "fetch"}
    assert {kind for kind in KINDS if f'"{kind}":' not in text} == set()
    assert {kind for kind in asked if f'"kind":"{kind}"' not in text} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_history_shows_what_it_is_stored_for(case: Case) -> None:
    text = corpus.path(case.name).read_text()
    assert any(f'"{prefix}{case.shows}"' in text for prefix in ("EVENT_TYPE_", ""))


def test_the_histories_are_small_and_name_no_machine() -> None:
    texts = {name: corpus.path(name).read_text() for name in NAMES}
    assert sum(map(len, texts.values())) < MOST_BYTES
    assert {name: found[0] for name, text in texts.items() if (found := OF_A_MACHINE.search(text))} == {}


# --- Messages grow ------------------------------------------------------------------------


async def altered(name: str, what: str, instead: str, folder: Path, evaluator: Evaluator) -> None:
    """Replay a history in which something was written otherwise."""
    text = corpus.path(name).read_text()
    assert what in text
    file = corpus.path(name, folder)
    file.write_text(text.replace(what, instead))
    for run in corpus.read(file):
        await replay_run(run, evaluator)


async def test_a_member_that_messages_did_not_have_then_says_what_it_says_by_default(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    await altered(CALLING, '"frozen":{},"key":', '"key":', tmp_path, evaluator)


async def test_a_member_that_messages_no_longer_have_is_found_out(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="activity 2"):
        await altered(CALLING, '"frozen":{},"key":', '"frozen":{},"gone":1,"key":', tmp_path, evaluator)


# --- Another engine is found out ----------------------------------------------------------


async def test_one_timer_more_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replayed.perform

    async def sleepy(self: Replayed, request: Any) -> Any:
        await workflow.sleep(1)
        return await real(self, request)

    monkeypatch.setattr(Replayed, "perform", sleepy)
    with pytest.raises(workflow.NondeterminismError):
        await replayed(CALLING, evaluator)


async def test_one_activity_more_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replayed.perform

    async def twice(self: Replayed, request: Any) -> Any:
        await real(self, request)
        return await real(self, request)

    monkeypatch.setattr(Replayed, "perform", twice)
    with pytest.raises(workflow.NondeterminismError):
        await replayed(CALLING, evaluator)


async def test_another_argument_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replayed.perform

    async def other(self: Replayed, request: Request) -> Any:
        assert isinstance(request.call, HttpCall)
        return await real(self, replace(request, call=replace(request.call, uri="http://other.test/")))

    monkeypatch.setattr(Replayed, "perform", other)
    with pytest.raises(AssertionError, match="activity 2"):
        await replayed(CALLING, evaluator)


async def test_another_pause_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replayed.pause

    async def longer(self: Replayed, milliseconds: int, pointer: str) -> None:
        await real(self, milliseconds + 1, pointer)

    monkeypatch.setattr(Replayed, "pause", longer)
    with pytest.raises(AssertionError, match="timer 1"):
        await replayed("retry-backoff-jitter", evaluator)


async def test_other_chance_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replayed, "random", lambda self: 2.0)
    with pytest.raises(AssertionError, match="timer 1"):
        await replayed("retry-backoff-jitter", evaluator)


async def test_another_input_of_a_child_is_found_out(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = workflow.start_child_workflow

    async def other(name: str, start: Any, **fields: Any) -> Any:
        start.target_refs.append("main@other?1")
        return await real(name, start, **fields)

    monkeypatch.setattr(workflow, "start_child_workflow", other)
    with pytest.raises(AssertionError, match="child execution/"):
        await replayed("run-awaited", evaluator)


async def test_another_result_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "Result", lambda ref: Result(f"{ref}0"))
    with pytest.raises(AssertionError, match="end"):
        await replayed("example-hello-ada", evaluator)


async def test_another_fault_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fault, "at", lambda self, instance: self)
    with pytest.raises(AssertionError, match="end"):
        await replayed("run-faults", evaluator)


async def test_another_snapshot_is_found_out(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = State.snapshot
    monkeypatch.setattr(State, "snapshot", lambda self: {**real(self), "other": 1})
    with pytest.raises(AssertionError, match="end"):
        await replayed("new-runs", evaluator)


async def test_another_answer_to_who_delivers_is_found_out(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Mailbox.deliver
    monkeypatch.setattr(Mailbox, "deliver", lambda self, delivery: real(self, delivery) or True)
    with pytest.raises(AssertionError, match="update"):
        await replayed("listen-any-before", evaluator)
