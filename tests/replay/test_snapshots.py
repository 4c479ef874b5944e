"""Snapshots of older workers are resumed; a change of their form is found out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from process_worker.engine.state import SNAPSHOT, NewerSnapshot, State
from process_worker.jq.evaluator import Evaluator
from tests.replay import standing
from tests.unit.process_worker.world import World, fly

FORMS = range(1, SNAPSHOT + 1)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


def stored(version: int) -> Any:
    return json.loads(standing.file(version).read_text())


@pytest.mark.parametrize("version", FORMS)
def test_a_stored_snapshot_is_continued(version: int, evaluator: Evaluator) -> None:
    kept = stored(version)
    assert kept["snapshot"]["version"] == version
    resumed = State.restored(kept["snapshot"])
    done = resumed.trace.last_number
    world = World(evaluator, kept["answers"])
    assert fly(standing.carry_out(kept["document"], world, resumed)) == kept["output"]
    # Done tasks are not repeated: it was in the second of three iterations.
    assert world.called == ["/c", "/a", "/b", "/c"]
    assert resumed.called == ["main@capabilities/c?1"]
    assert resumed.consumed == [f"main@executions/e/events/{number}?1" for number in (1, 2)]
    assert [event.number for event in resumed.trace.events] == list(range(1, resumed.trace.last_number + 1))
    assert resumed.trace.last_number > done


def test_a_snapshot_of_today_is_of_the_form_that_it_says(evaluator: Evaluator) -> None:
    today = standing.take(evaluator)
    assert today["version"] == SNAPSHOT
    assert timeless(today) == timeless(stored(SNAPSHOT)["snapshot"]), (
        "it has changed: raise SNAPSHOT, go on reading the forms before, and store one of the new form"
    )


def timeless(value: Any) -> Any:
    """Moments of a clock that flies are not the same to the microsecond."""
    if isinstance(value, dict):
        return {name: timeless(member) for name, member in value.items()}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return "a moment" if isinstance(value, int) and value > 1_000_000_000_000_000 else value


def test_a_snapshot_of_a_form_that_is_not_known_yet_is_left_to_a_newer_worker() -> None:
    newer = {**stored(SNAPSHOT)["snapshot"], "version": SNAPSHOT + 1}
    with pytest.raises(NewerSnapshot, match=f"and not yet of form {SNAPSHOT + 1}"):
        State.restored(newer)
