"""The intake of refines: pins, reading on, and the cost of one refine of a stream for the others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from ledger_service.commit import Committer
from ledger_service.extent import MAX_MILLISECONDS
from ledger_service.heads import Heads, Levels
from ledger_service.intake import STREAM_IN_FLIGHT, Intake
from ledger_service.prepare import Preparation
from ledger_service.refine import Refiner
from ledger_service.wire import refine_command
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.errors import RefineTooLarge
from refinery_core.postgres.database import Database as Store
from refinery_core.postgres.pool import open_pool
from refinery_core.serving.drain import Drain
from refinery_core.stored.composition import Composer
from refinery_core.stored.vibes import Vibes
from tests.support.ledger import AUTHOR, Ledger, record
from tests.support.waiting import until


def request(*drafts: pb.Draft) -> pb.RefineRequest:
    return pb.RefineRequest(request_id=str(uuid4()), author_ref=AUTHOR, drafts=drafts)


def draft(id_: str, **documents: object) -> pb.Draft:
    made = pb.Draft(type=vibe_pb2.VIBE_TYPE_RECORD, id=id_)
    for name, document in documents.items():
        getattr(made, name).json = json.dumps(document)
    return made


@pytest.fixture
async def vibes(ledger: Ledger) -> AsyncIterator[Vibes]:
    async with await open_pool(ledger.database.app_url, application_name="test", max_size=6) as pool:
        yield Vibes(Store(pool))


async def test_data_that_looks_like_a_reference_is_not_pinned(ledger: Ledger, vibes: Vibes) -> None:
    await ledger.refine(*(record(f"looks/{number}", schema={}) for number in range(100)))
    looks = [{"$ref": f"aug:/looks/{number}"} for number in range(100)]
    drafts = draft("a", schema={"const": looks}), draft("b", schema={"$ref": "aug:/looks/7"})
    command = refine_command(request(*drafts))
    for heads in (Heads(most=9), Heads(most=9)):
        preparation = Preparation(command, vibes, Composer(vibes), heads, Levels(vibes.database), trust=True)
        prepared = await preparation.run()
        assert prepared.pins == {("main", "looks/7"): "main@looks/7?1"}
        assert not preparation.remembered


async def test_a_stream_whose_answers_are_not_read_is_not_read_on(ledger: Ledger, vibes: Vibes) -> None:
    taken = 0

    async def requests() -> AsyncIterator[pb.RefineStreamRequest]:
        nonlocal taken
        for number in range(3 * STREAM_IN_FLIGHT):
            taken += 1
            yield pb.RefineStreamRequest(refine=request(draft(f"stream/{number}", solution=1)))

    async def committed() -> bool:
        rows = await ledger.rows("select count(*) from refinery.vibes where id like 'stream/%'")
        return bool(rows[0][0] == STREAM_IN_FLIGHT)

    async with aclosing(Committer(vibes.database)) as committer:
        intake = Intake(Refiner(vibes, Composer(vibes), committer), Drain(), contextlib.nullcontext)
        async with aclosing(intake.stream(requests(), "somebody")) as answers:
            await anext(answers)
            await until(committed)
            # One more was read, and waits for the room that an answer which is sent makes.
            assert taken == STREAM_IN_FLIGHT + 1
            assert len([answer async for answer in answers]) == 3 * STREAM_IN_FLIGHT - 1


async def test_a_refusal_with_long_paths_does_not_end_the_stream(ledger: Ledger) -> None:
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
    wrong = draft("wrong", schema=schema, solution={"K" * 300_000: {f"k{n}": 1 for n in range(200)}})
    sent = [request(draft(f"s/{number}", solution=number)) for number in range(10)]
    sent.insert(5, request(wrong))
    calls = ledger.stub.RefineStream(pb.RefineStreamRequest(refine=one) for one in sent)
    answers = {answer.request_id: answer async for answer in calls}
    assert answers.keys() == {one.request_id for one in sent}
    assert answers[sent[5].request_id].refusal.reason == "SOLUTION_INVALID"


async def test_a_message_beyond_the_limit_does_not_end_the_stream(ledger: Ledger) -> None:
    """It is refused by its request_id, and the refines before and after it are committed."""
    text = {"text": "x" * 900_000}
    large = request(*(draft(f"large/{number}", solution=text) for number in range(5)))
    small = [request(draft(f"small/{number}")) for number in range(4)]
    messages = [pb.RefineStreamRequest(refine=one) for one in (*small[:2], large, *small[2:])]

    answers = {answer.request_id: answer async for answer in ledger.stub.RefineStream(iter(messages))}

    assert len(answers) == 5
    assert answers.pop(large.request_id).refusal.reason == "MESSAGE_TOO_LARGE"
    assert all(answers[one.request_id].HasField("response") for one in small)


async def test_all_maxima_together_are_more_than_a_refine_may_become(ledger: Ledger) -> None:
    await ledger.branch("dev")
    inputs = await ledger.refine(*(record(f"inputs/{number}") for number in range(10)))
    with pytest.raises(RefineTooLarge) as refusal:
        await ledger.refine(
            *(record(f"all/{n}", solution="x" * 3_900, branches=("main", "dev")) for n in range(1_000)),
            target_refs=[vibe.ref for vibe in inputs.vibes],
        )
    assert refusal.value.metadata["limit"] == str(MAX_MILLISECONDS)
