from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Outcome, Refine, Refined, Refinery
from refinery_client.answers import refined_from
from refinery_client.refusals import refusal_in_stream
from refinery_core.errors import (
    RefinementNotFound,
    RequestIdReused,
    RevisionConflict,
    SolutionInvalid,
    UnknownReference,
)
from refinery_core.vibe.model import VibeType
from tests.conftest import Database
from tests.support.ledger import AUTHOR, Ledger, clients, record, running


def request(number: int) -> Refine:
    draft = record(f"ids/{number % 20}", solution={"number": number}, schema={"type": "object"})
    other = record(f"others/{number}", prototype_ref="aug:/system/genesis")
    return Refine(
        author_ref=AUTHOR, drafts=[draft, other], target_refs=["aug:/hot"], request_id=UUID(int=number + 1)
    )


async def send(client: Refinery, refine: Refine) -> Refined:
    return await client.refine(
        author_ref=refine.author_ref,
        drafts=refine.drafts,
        target_refs=refine.target_refs,
        request_id=refine.request_id,
    )


async def test_a_request_sent_three_times_at_once_500_times_over_is_500_refinements(ledger: Ledger) -> None:
    """A part goes as calls of their own, a part through streams; `hot` moves on meanwhile."""
    await ledger.record("hot")
    before = await ledger.last_position()
    requests = [request(number) for number in range(500) for _ in range(3)]
    random.Random(3).shuffle(requests)
    waiting = iter(requests[:900])

    async def calls(client: Refinery) -> list[Refined]:
        return [await send(client, refine) for refine in waiting]

    async def stream(part: list[Refine]) -> list[Refined]:
        messages = (pb.RefineStreamRequest(refine=refine.message()) for refine in part)
        answers = ledger.stub.RefineStream(messages)
        return [refined_from(answer.response, UUID(answer.request_id)) async for answer in answers]

    async def move_on(client: Refinery) -> list[Refined]:
        return [await client.refine(author_ref=AUTHOR, drafts=[record("hot")]) for _ in range(50)]

    async with clients([ledger.address], 32) as everybody, asyncio.TaskGroup() as group:
        moving = group.create_task(move_on(everybody[0]))
        tasks = [group.create_task(calls(client)) for client in everybody]
        tasks += [group.create_task(stream(requests[900 + n :: 3])) for n in range(3)]
    assert len(moving.result()) == 50
    answers = [refined for task in tasks for refined in task.result()]
    assert len(answers) == 1_500
    assert await ledger.last_position() == before + 500 + 50

    by_request: dict[UUID, list[Refined]] = defaultdict(list)
    for answer in answers:
        by_request[answer.request_id].append(answer)
    assert len(by_request) == 500
    for same in by_request.values():
        assert sorted(answer.replayed for answer in same) == [False, True, True]
        assert same[1:] == [replace(same[0], replayed=answer.replayed) for answer in same[1:]]
    positions = {answer.refinement.position for answer in answers if answer.refinement}
    assert len(positions) == 500


async def test_the_first_answer_comes_again_after_a_restart_to_the_byte(database: Database) -> None:
    message = request(7).message()
    async with running(database) as ledger:
        await ledger.record("hot")
        first = await ledger.stub.Refine(message)
        await ledger.record("hot")
    async with running(database) as ledger:
        again = await ledger.stub.Refine(message)
    assert (first.replayed, again.replayed) == (False, True)
    again.replayed = False
    assert first == again


async def test_a_request_id_with_other_content_is_refused(ledger: Ledger) -> None:
    await ledger.record("hot")
    first = request(1)
    await send(ledger.refinery, first)
    before = await ledger.last_position()
    others = [
        replace(first, drafts=[record("ids/1")]),
        replace(first, drafts=first.drafts[:1]),
        replace(first, drafts=first.drafts[::-1]),
        replace(first, drafts=[replace(first.drafts[0], solution={"number": 2}), first.drafts[1]]),
        replace(first, drafts=[replace(first.drafts[0], expected_revision=0), first.drafts[1]]),
        replace(first, drafts=[replace(first.drafts[0], context=None), first.drafts[1]]),
        replace(first, target_refs=()),
        replace(first, target_refs=["main@hot?1"]),
        replace(first, author_ref="aug:/system/genesis"),
    ]
    for other in others:
        with pytest.raises(RequestIdReused) as refused:
            await send(ledger.refinery, other)
        assert refused.value.metadata == {"request_id": str(first.request_id)}
    assert await ledger.last_position() == before


async def test_the_same_content_written_in_another_way_is_the_same_content(ledger: Ledger) -> None:
    drafts = [
        pb.Draft(
            type=vibe_pb2.VIBE_TYPE_RECORD, id="x", branches=branches, solution=vibe_pb2.Document(json=text)
        )
        for branches, text in (([], '{"a": 1, "b": [1.0]}'), (["main"], '{"b":[1],"a":1e0}'))
    ]
    id_ = uuid.uuid4()
    messages = [
        pb.RefineRequest(request_id=text, branch=branch, author_ref=author, drafts=[draft])
        for text, branch, author, draft in zip(
            (str(id_), str(id_).upper()), ("", "main"), (AUTHOR, f"aug:{AUTHOR}"), drafts, strict=True
        )
    ]
    first, again = [await ledger.stub.Refine(message) for message in messages]
    assert (first.replayed, again.replayed) == (False, True)
    assert first.vibes == again.vibes


async def test_one_id_with_two_contents_at_once_is_committed_once(ledger: Ledger) -> None:
    for number in range(50):
        same = UUID(int=1_000 + number)
        two = [Refine(author_ref=AUTHOR, drafts=[record("x", solution=n)], request_id=same) for n in range(2)]
        outcomes = await asyncio.gather(
            *(send(ledger.refinery, refine) for refine in two), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Refined", "RequestIdReused"]


GOOD = record("good", schema={"type": "object"}, solution={})
BAD = {
    "SOLUTION_INVALID": record("bad", schema={"type": "object"}, solution=1),
    "UNKNOWN_REFERENCE": record("bad", schema={"$ref": "aug:/nothing"}),
    "REVISION_CONFLICT": record("bad", expected_revision=5),
    "TYPE_FIXED": replace(record("typed"), type=VibeType.ROLE),
    "RESERVED_ID": record("system/x"),
    "INVALID_FIELD": record(""),
    "BRANCH_NOT_FOUND": record("bad", branches=["nowhere"]),
}


async def test_a_bad_request_in_a_stream_fails_alone_and_the_stream_goes_on(ledger: Ledger) -> None:
    await ledger.record("typed")
    before = await ledger.last_position()
    expected: dict[UUID, str | None] = {}

    def refines() -> Iterator[Refine]:
        for _ in range(20):
            for reason, draft in (*BAD.items(), *[(None, GOOD)] * 5):
                refine = Refine(author_ref=AUTHOR, drafts=[draft])
                expected[refine.request_id] = reason
                yield refine

    outcomes: list[Outcome] = [one async for one in ledger.refinery.refine_many(refines())]
    got = {one.refine.request_id: one.refusal.reason if one.refusal else None for one in outcomes}
    assert got == expected
    assert await ledger.last_position() == before + 100
    refused = next(one.refusal for one in outcomes if isinstance(one.refusal, SolutionInvalid))
    assert refused.violations[0].schema_path == "/type"


async def test_a_stream_answers_each_message_by_its_request_id_even_an_empty_one(ledger: Ledger) -> None:
    good = Refine(author_ref=AUTHOR, drafts=[GOOD])
    call = ledger.stub.RefineStream()
    await call.write(pb.RefineStreamRequest())
    await call.write(pb.RefineStreamRequest(refine=pb.RefineRequest(request_id="no uuid")))
    await call.write(pb.RefineStreamRequest(refine=good.message()))
    await call.done_writing()
    answers = {answer.request_id: answer async for answer in call}
    assert answers.keys() == {"", "no uuid", str(good.request_id)}
    assert answers[""].refusal.reason == answers["no uuid"].refusal.reason == "INVALID_FIELD"
    assert refusal_in_stream(answers[""].refusal).metadata["field"] == "request_id"
    assert answers[str(good.request_id)].response.vibes[0].ref == "main@good?1"


async def test_refused_requests_do_not_use_their_id_up(ledger: Ledger) -> None:
    same = Refine(author_ref=AUTHOR, drafts=[record("x", schema={"$ref": "aug:/later"})])
    with pytest.raises(UnknownReference):
        await send(ledger.refinery, same)
    with pytest.raises(RefinementNotFound):
        await ledger.refinery.get_refinement(request_id=same.request_id)
    await ledger.refine(record("later", schema={}))
    refined = await send(ledger.refinery, same)
    assert not refined.replayed
    found = await ledger.refinery.get_refinement(request_id=same.request_id)
    assert found == refined.refinement


async def test_a_replay_is_answered_even_when_the_ledger_would_refuse_the_request_today(
    ledger: Ledger,
) -> None:
    await ledger.refine(record("schemas/x", schema={"type": "object"}))
    requests = [
        Refine(author_ref=AUTHOR, drafts=[record("x", expected_revision=0)]),
        Refine(author_ref=AUTHOR, drafts=[record("y", schema={"$ref": "aug:/schemas/x"}, solution={})]),
        Refine(author_ref=AUTHOR, drafts=[record("z", prototype_ref="aug:/y")]),
    ]
    first = [await send(ledger.refinery, refine) for refine in requests]
    await ledger.refine(record("schemas/x", schema={"type": "string"}))
    await ledger.refine(record("x"), record("y", schema=False))
    with pytest.raises(RevisionConflict):
        await send(ledger.refinery, replace(requests[0], request_id=uuid.uuid4()))
    with pytest.raises(SolutionInvalid):
        await send(ledger.refinery, replace(requests[1], request_id=uuid.uuid4()))
    again = [await send(ledger.refinery, refine) for refine in requests]
    assert again == [replace(answer, replayed=True) for answer in first]
