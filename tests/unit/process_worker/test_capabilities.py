from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from process_worker.activities.outside.calls import Calls
from process_worker.activities.outside.functions import Caller, LedgerFunctions, call
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.refusals import as_fault, is_for_now
from process_worker.door.capabilities import Capabilities
from process_worker.door.commands import CallCapability
from process_worker.engine.faults import Fault
from process_worker.jq.evaluator import Evaluator
from process_worker.records.ledger import Ledger, answering
from process_worker.temporal.connect import see_author
from process_worker.workflow.steps import Behalf
from refinery_client import Refinery
from refinery_client.refusals import NoToken, Refused
from refinery_core.errors import (
    CATALOGUE,
    Code,
    LedgerUnavailable,
    Overloaded,
    RefineryError,
    SolutionInvalid,
    Unauthenticated,
    VibeNotFound,
    Violation,
)
from refinery_core.serving.capacity import Capacity
from refinery_core.settings import CannotStart
from refinery_core.vibe.documents import parse
from tests.support.issuing import Issuing, trusting
from tests.unit.refinery_client.conftest import serving

NOBODY = "127.0.0.1:9"
COMMAND = CallCapability(uuid.uuid4(), "aug:/x", "main@roles/local?1", parse("{}"), "main")


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


@pytest.fixture
async def nobody() -> AsyncIterator[Refinery]:
    """A client of a ledger that is not there."""
    async with Refinery.connect(ledger=NOBODY, resolver=NOBODY, timeout_seconds=0.2) as refinery:
        yield refinery


async def test_a_ledger_that_is_away_is_a_refusal_and_the_room_is_given_back(
    nobody: Refinery, evaluator: Evaluator
) -> None:
    calls = Calls.of(nobody, evaluator, Gateway())
    capabilities = Capabilities(Ledger(nobody), calls, Capacity(calls=1))
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            await capabilities.call(COMMAND)


async def test_what_there_is_no_room_for_is_refused_at_once(nobody: Refinery, evaluator: Evaluator) -> None:
    calls = Calls.of(nobody, evaluator, Gateway())
    with pytest.raises(Overloaded):
        await Capabilities(Ledger(nobody), calls, Capacity(calls=0)).call(COMMAND)


def test_a_refusal_is_a_fault_with_its_first_violations() -> None:
    violations = tuple(Violation(f"/{at}", "/type", "is wrong") for at in range(20))
    problem = as_fault(SolutionInvalid(field="solution", violations=violations, count="20+")).problem
    assert (problem.status, problem.title) == (400, "SOLUTION_INVALID")
    assert problem.detail.endswith(" /1: is wrong. /2: is wrong. /3: is wrong. /4: is wrong.")
    assert as_fault(VibeNotFound(reference="aug:/x")).problem.status == 404


@pytest.mark.parametrize(
    "refusal", [Unauthenticated(problem="no token came"), NoToken(problem="it is empty")]
)
def test_callers_of_a_worker_that_the_ledger_does_not_know_are_not_told_that_they_are_not_known(
    refusal: RefineryError,
) -> None:
    with (
        capture_logs() as logged,
        pytest.raises(LedgerUnavailable, match="does not know this worker"),
        answering(),
    ):
        raise refusal
    assert [line["problem"] for line in logged] == [refusal.metadata["problem"]]


async def test_a_worker_whom_the_ledger_does_not_know_does_not_start() -> None:
    async with serving(trusting(Issuing()), token="forged") as small:
        with pytest.raises(CannotStart, match="The ledger does not know this worker") as caught:
            await see_author(Ledger(small.refinery), "main@roles/local?1")
    assert "REFINERY_TOKEN_FILE" in str(caught.value)
    assert "forged" not in str(caught.value)


def test_what_may_be_answered_later_is_told_from_what_is_decided() -> None:
    refusals = {name: kind.__new__(kind) for name, kind in CATALOGUE.items()}
    later = {name for name, refusal in refusals.items() if is_for_now(refusal)}
    assert {"LEDGER_UNAVAILABLE", "OVERLOADED", "STORAGE_FULL", "OUTCOME_UNKNOWN", "DRAINING"} <= later
    assert "UNAUTHENTICATED" in later, "it is this worker who is not known, and the process is not to blame"
    assert later.isdisjoint({"VIBE_NOT_FOUND", "REVISION_CONFLICT", "REQUEST_ID_REUSED", "INTERNAL"})
    assert "ANSWER_TOO_LARGE" not in later
    too_large = Refused(
        "Received message larger than max", code=Code.RESOURCE_EXHAUSTED, reason="", metadata={}
    )
    assert not is_for_now(too_large)
    assert as_fault(too_large).problem.status == 413


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_vibe", {}),
        ("get_vibe", []),
        ("get_vibe", {"reference": 1}),
        ("refine", {"drafts": [{"id": "x"}]}),
        ("refine", {"drafts": [{"type": "THING", "id": "x"}]}),
        ("refine", {"drafts": 1}),
        ("resolve_schema", {"reference": "aug:/x", "form": "round"}),
        ("trace_lineage", {"reference": "aug:/x", "direction": "sideways"}),
        ("trace_lineage", {"reference": "aug:/x", "edge_types": ["odd"]}),
    ],
)
async def test_arguments_that_do_not_fit_are_a_fault(nobody: Refinery, name: str, arguments: Any) -> None:
    function: Any = LedgerFunctions(nobody).by_name()[f"refinery.{name}"]
    caller = Caller(uuid.uuid4(), Behalf("main@roles/local?1", "main", "", ""))
    with pytest.raises(Fault) as caught:
        await function(arguments, caller)
    assert caught.value.problem.status == 400
    assert caught.value.problem.detail.startswith("the arguments ")


async def test_a_function_that_is_not_async_may_block_and_nobody_else_waits() -> None:
    done = threading.Event()

    def block(arguments: Any, _: Caller) -> Any:
        return [arguments, done.wait(10)]

    caller = Caller(uuid.uuid4(), Behalf("main@roles/local?1", "main", "", ""))
    calling = asyncio.create_task(call({"block": block}, "block", 1, caller))
    await asyncio.sleep(0)  # It is under way, and this goes on.
    done.set()
    assert await calling == [1, True]


async def test_a_function_may_be_async_however_it_is_made() -> None:
    class Adds:
        async def __call__(self, arguments: Any, _: Caller) -> Any:
            return arguments + 1

    caller = Caller(uuid.uuid4(), Behalf("main@roles/local?1", "main", "", ""))
    assert await call({"adds": Adds()}, "adds", 1, caller) == 2
