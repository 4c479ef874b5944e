from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest

from ledger_service import watch as watching
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from refinery.vibe.v1 import vibe_pb2
from refinery_client import Refine, Refinery, Vibe
from refinery_client.refusals import refusal_from
from refinery_core.errors import BranchNotFound, Draining, PositionOutOfRange
from tests.cases.seeded import FIRST, SEEDED
from tests.support.ledger import AUTHOR, Ledger, clients, record, running

SOON = 10

Watch = grpc.aio.UnaryStreamCall[pb.WatchVibesRequest, pb.WatchVibesResponse]


@asynccontextmanager
async def watch(stub: LedgerServiceStub, after: int = 0, **fields: object) -> AsyncIterator[Watch]:
    call = stub.WatchVibes(pb.WatchVibesRequest(after_position=after, **fields))  # type: ignore[arg-type]
    try:
        yield call
    finally:
        call.cancel()


async def next_of(call: Watch) -> pb.WatchVibesResponse:
    async with asyncio.timeout(SOON):
        answer = await call.read()
    assert isinstance(answer, pb.WatchVibesResponse)
    return answer


async def refusal_of(call: Watch) -> Exception:
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        while True:
            await next_of(call)
    return refusal_from(ended.value)


async def reconnecting(ledger: Ledger, last: asyncio.Future[int]) -> list[vibe_pb2.Vibe]:
    """Watch from the beginning to the last position, on a new connection after every few answers."""
    chance, position, seen = random.Random(5), 0, list[vibe_pb2.Vibe]()
    while not (last.done() and position >= last.result()):
        async with (
            grpc.aio.insecure_channel(ledger.address, [("grpc.use_local_subchannel_pool", 1)]) as channel,
            watch(LedgerServiceStub(channel), position) as call,
        ):
            for _ in range(chance.randrange(1, 200)):
                answer = await next_of(call)
                assert answer.position > position
                position = answer.position
                seen += answer.vibes
                if last.done() and position >= last.result():
                    break
    return seen


async def test_a_watcher_that_reconnects_sees_each_vibe_once_in_order_and_never_before_its_pins(
    ledger: Ledger,
) -> None:
    await ledger.refine(*(record(f"s/{n}", schema={"type": "object"}) for n in range(10)))
    await ledger.refine(*(record(f"r/{n}") for n in range(50)))
    numbers, chance = iter(range(5_000)), random.Random(4)

    def refines() -> Iterator[Refine]:
        for number in numbers:
            own, other, schema = (chance.randrange(limit) for limit in (50, 50, 10))
            composed = {"schema": {"$ref": f"aug:/s/{schema}"}} if number % 10 == 0 else {}
            drafts = [record(f"r/{own}", solution={"n": number}, **composed)]
            if number % 100 == 1:
                drafts.append(record(f"s/{schema}", schema={"type": "object", "title": f"{number}"}))
            yield Refine(author_ref=AUTHOR, drafts=drafts, target_refs=[f"aug:/r/{other}"])

    async def write(client: Refinery) -> int:
        committed = [one.unwrap() async for one in client.refine_many(refines())]
        return len(committed)

    last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with clients([ledger.address], 4) as everybody, asyncio.TaskGroup() as group:
        watcher = group.create_task(reconnecting(ledger, last))
        written = await asyncio.gather(*(write(client) for client in everybody))
        last.set_result(await ledger.last_position() + 1)
        await ledger.record("end")  # The watcher may have seen all else before the position of the end.
    assert (sum(written), last.result()) == (5_000, SEEDED + 5_003)
    await check_order(ledger, watcher.result())


async def check_order(ledger: Ledger, seen: list[vibe_pb2.Vibe]) -> None:
    stored = await ledger.rows("select ref from refinery.vibes order by position, ordinal")
    assert [vibe.ref for vibe in seen] == [row["ref"] for row in stored]
    places = {vibe.ref: (vibe.position, place) for place, vibe in enumerate(seen)}
    edges = await ledger.rows("select from_ref, to_ref from refinery.vibe_refs where from_ref <> to_ref")
    assert len(edges) > 10_000
    assert all(places[edge["to_ref"]] < places[edge["from_ref"]] for edge in edges)


async def test_a_watch_sends_what_is_there_and_then_what_comes(ledger: Ledger) -> None:
    first = await ledger.record("a")
    async with watch(ledger.stub, SEEDED) as call:
        assert [vibe.ref for vibe in (await next_of(call)).vibes] == [first.ref]
        for _ in range(20):
            made = await ledger.record("b")
            answer = await next_of(call)
            assert [vibe.ref for vibe in answer.vibes] == [made.ref]
            assert answer.position == answer.refinement.position == made.position
            assert answer.refinement.vibe_refs == [made.ref]


async def test_a_watch_sees_what_another_server_of_the_same_database_wrote(ledger: Ledger) -> None:
    async with watch(ledger.stub, SEEDED) as call, running(ledger.database) as other:
        for _ in range(3):
            made = await other.record("x")
            assert [vibe.ref for vibe in (await next_of(call)).vibes] == [made.ref]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["main@system/branches/dev?1", "main@a/1?1", "dev@a/2?1", "main@ab?1", "dev@a/1?2"]),
        ({"id_prefix": "a/"}, ["main@a/1?1", "dev@a/2?1", "dev@a/1?2"]),
        ({"branch": "dev"}, ["dev@a/2?1", "dev@a/1?2"]),
        ({"branch": "main", "id_prefix": "a"}, ["main@a/1?1", "main@ab?1", "dev@a/1?2"]),
        ({"id_prefix": "ab"}, ["main@ab?1"]),
    ],
)
async def test_a_watch_sends_only_what_matches_its_filter(
    ledger: Ledger, fields: dict[str, str], expected: list[str]
) -> None:
    await ledger.branch("dev")
    await ledger.refine(record("a/1"), record("a/2", branches=["dev"]), record("ab"))
    await ledger.refine(record("a/1", branches=["dev", "main"]))
    seen: list[str] = []
    async with watch(ledger.stub, SEEDED, **fields) as call:
        while len(seen) < len(expected):
            answer = await next_of(call)
            assert answer.vibes
            seen += [vibe.ref for vibe in answer.vibes]
    assert seen == expected


async def test_a_full_watch_sends_documents_and_cuts_a_large_refinement_into_parts(ledger: Ledger) -> None:
    drafts = [record(f"x/{number}", solution="x" * 300_000) for number in range(10)]
    refined = await ledger.refine(*drafts)
    after = await ledger.record("y", solution=1)
    parts: list[pb.WatchVibesResponse] = []
    async with watch(ledger.stub, SEEDED, view=vibe_pb2.VIBE_VIEW_FULL) as call:
        while not parts or parts[-1].position < after.position:
            parts.append(await next_of(call))
    assert len(parts) > 2
    assert [part.position for part in parts] == [SEEDED] * (len(parts) - 2) + [FIRST, FIRST + 1]
    vibes = [vibe for part in parts[:-1] for vibe in part.vibes]
    assert [vibe.ref for vibe in vibes] == [vibe.ref for vibe in refined.vibes]
    assert all(len(vibe.solution.json) == 300_002 for vibe in vibes)
    assert parts[-1].vibes[0].solution.json == "1"


async def test_a_quiet_watch_sends_heartbeats_that_say_how_far_it_has_come(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "HEARTBEAT_SECONDS", 0.0)
    for _ in range(3):
        await ledger.record("unseen")
    async with watch(ledger.stub, SEEDED, id_prefix="nothing") as call:
        for _ in range(2):
            beat = await next_of(call)
            assert beat.position == SEEDED + 3
            assert not beat.HasField("refinement")
            assert not beat.vibes


async def test_a_drain_ends_watches_with_a_reason_after_what_was_committed(ledger: Ledger) -> None:
    made: Vibe = await ledger.record("x")
    async with watch(ledger.stub, SEEDED) as one, watch(ledger.stub, made.position) as other:
        assert (await next_of(one)).position == made.position
        ledger.drain.ask()
        for call in (one, other):
            assert isinstance(await refusal_of(call), Draining)


async def test_a_watch_of_what_is_not_there_is_refused(ledger: Ledger) -> None:
    async with watch(ledger.stub, FIRST) as call:
        assert isinstance(refused := await refusal_of(call), PositionOutOfRange)
        assert refused.metadata == {"field": "after_position", "position": f"{FIRST}", "last": f"{SEEDED}"}
    async with watch(ledger.stub, branch="nowhere") as call:
        assert isinstance(await refusal_of(call), BranchNotFound)
