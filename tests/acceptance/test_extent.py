"""The size of a refine is bounded before the lock; legal ones commit, and are answered whole."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger_service.branches import MAX_LEVELS
from ledger_service.extent import MAX_ANSWER_BYTES, MAX_BYTES, MAX_EDGES, MAX_LINES
from refinery_client import Refine, Refined
from refinery_core.errors import BranchTooDeep, RefineTooLarge
from refinery_core.postgres.verify import verify
from tests.support.ledger import AUTHOR, Ledger, record

MIB = 1 << 20


def text(size: int) -> str:
    return "x" * (size - 2)


async def refused(ledger: Ledger, *drafts: Any, **fields: Any) -> dict[str, str]:
    before = await ledger.last_position()
    with pytest.raises(RefineTooLarge) as refusal:
        await ledger.refine(*drafts, **fields)
    assert await ledger.last_position() == before
    return refusal.value.metadata


async def test_a_prototype_brings_in_as_many_bytes_as_a_refine_may_become_and_no_more(ledger: Ledger) -> None:
    await ledger.refine(record("large", context=text(MIB), solution=text(MIB)))
    fits = MAX_BYTES // (2 * MIB)

    def copies(count: int) -> list[Any]:
        return [record(f"copies/{n}", prototype_ref="aug:/large") for n in range(count)]

    assert await refused(ledger, *copies(fits + 1)) == {
        "field": f"drafts[{fits}]",
        "what": "bytes of documents",
        "limit": str(MAX_BYTES),
    }
    assert (await refused(ledger, *copies(400)))["field"] == f"drafts[{fits}]"
    refined = await ledger.refine(*copies(fits))
    copy = await ledger.refinery.get_vibe(refined.vibes[-1].ref)
    large = await ledger.refinery.get_vibe("aug:/large")
    assert (copy.context, copy.solution, copy.content_digest) == (
        large.context,
        large.solution,
        large.content_digest,
    )
    assert (await verify(ledger.database.owner_url)).findings == []


async def test_a_prototype_brings_in_as_many_references_as_a_refine_may_have(ledger: Ledger) -> None:
    guests = [f"guests/{number}" for number in range(1_000)]
    await ledger.refine(*(record(guest, schema={}) for guest in guests))
    schema = {"properties": {guest: {"$ref": f"aug:/{guest}"} for guest in guests}}
    await ledger.refine(record("hub", schema=schema))
    each = len(guests) + 2  # Its author and its prototype too.
    fits = MAX_EDGES // each
    drafts = [record(f"copies/{n}", prototype_ref="aug:/hub") for n in range(100)]
    assert await refused(ledger, *drafts) == {
        "field": f"drafts[{fits}]",
        "what": "references to other Vibes",
        "limit": str(MAX_EDGES),
    }
    await ledger.refine(*drafts[:fits])
    edges = await ledger.rows("select count(*) from refinery.vibe_refs where from_id like 'copies/%'")
    assert edges[0][0] == fits * each
    assert (await verify(ledger.database.owner_url)).findings == []


async def test_a_draft_on_many_branches_that_are_deep_counts_for_each_branch_below_them(
    ledger: Ledger,
) -> None:
    names = ["main"]
    for number in range(1, 16):
        await ledger.branch(f"deep/{number}", names[-1])
        names.append(f"deep/{number}")
    each = sum(range(1, 17))
    fits = MAX_LINES // each
    drafts = [record(f"wide/{n}", branches=names) for n in range(540)]
    assert (await refused(ledger, *drafts))["field"] == f"drafts[{fits}].branches"
    refined = await ledger.refine(*drafts[:fits])
    assert {vibe.revision for vibe in refined.vibes} == {1}
    assert await ledger.ref(f"aug:/wide/{fits - 1}", "deep/15") == f"main@wide/{fits - 1}?1"
    assert (await verify(ledger.database.owner_url)).findings == []


async def test_branches_nest_as_deep_as_is_said_and_no_deeper(ledger: Ledger) -> None:
    parent = "main"
    for number in range(1, MAX_LEVELS):
        await ledger.branch(f"n/{number}", parent)
        parent = f"n/{number}"
    with pytest.raises(BranchTooDeep, match=f"'{parent}' is {MAX_LEVELS - 1} branches away from main"):
        await ledger.branch("one-more", parent)
    await ledger.record("a", 1, branch="main")
    await ledger.record("b", 1, branch=parent)
    assert await ledger.ref("aug:/b", parent) == f"{parent}@b?1"


async def test_an_answer_that_would_not_fit_into_a_message_is_refused_before_it_is_committed(
    ledger: Ledger,
) -> None:
    long = "b/" + "x" * 440
    await ledger.branch(long)
    await ledger.record("t", 1, branch=long)
    said = await refused(ledger, record("u"), branch=long, target_refs=["aug:/t"] * 9_999)
    assert said == {"field": "target_refs", "what": "bytes of answer", "limit": str(MAX_ANSWER_BYTES)}
    refined = await ledger.refine(record("u"), branch=long, target_refs=["aug:/t"] * 6_000)
    again = await ledger.refinery.get_refinement(vibe_ref=refined.vibes[0].ref)
    assert len(again.target_refs) == 6_000

    guests = ["g/" + f"{number:03}" + "y" * 450 for number in range(400)]
    await ledger.refine(*(record(guest, schema={}) for guest in guests))
    schema = {"properties": {f"p{n}": {"$ref": f"aug:/{guest}"} for n, guest in enumerate(guests)}}
    await ledger.refine(record("long-references", schema=schema))
    drafts = [record(f"copies/{n}", prototype_ref="aug:/long-references") for n in range(25)]
    assert (await refused(ledger, *drafts))["what"] == "bytes of answer"
    await ledger.refine(*drafts[:12])


async def test_a_small_refine_does_not_wait_for_all_that_another_caller_sent_before_it(
    ledger: Ledger,
) -> None:
    """A small refine that comes after twelve large ones is not the last to commit."""
    large = [[record(f"large/{n}/{m}", solution=text(4_000)) for m in range(400)] for n in range(12)]
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(ledger.refine(*drafts)) for drafts in large]
        await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        small = await ledger.record("small", 1)
    later = [at for task in sent if (at := position_of(task.result())) > small.position]
    assert len(later) >= len(large) - 4


def position_of(refined: Refined) -> int:
    assert refined.refinement is not None
    return refined.refinement.position


async def test_a_stream_of_megabytes_leaves_room_for_others(ledger: Ledger) -> None:
    """A refine of another call commits while the stream goes on, however much of it was sent already."""
    refines = [
        Refine(author_ref=AUTHOR, drafts=[record(f"stream/{n}", solution=text(MIB // 2))]) for n in range(64)
    ]
    positions: list[int] = []
    first = asyncio.Event()

    async def stream() -> None:
        async for outcome in ledger.refinery.refine_many(refines):
            positions.append(position_of(outcome.unwrap()))
            first.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(stream())
        await first.wait()
        small = await ledger.record("small", 1)
    assert len([position for position in positions if position > small.position]) > len(refines) // 2
