from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger_service import lineage
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_client import Draft, LineageDirection, LineageStep
from refinery_core.errors import InvalidField, PositionOutOfRange, RefineryError, VibeNotFound
from refinery_core.vibe.model import Context, Edge, EdgeType, VibeType
from tests.cases.seeded import FIRST, SEEDED, SEEDED_VIBES
from tests.support.ledger import AUTHOR, Ledger, record

UP, DOWN = LineageDirection.UP, LineageDirection.DOWN


async def walk(
    ledger: Ledger, reference: str, direction: LineageDirection = UP, **fields: Any
) -> tuple[dict[str, int], bool]:
    """The Vibes that a walk reaches, their distances, and whether it was cut; checks their order."""
    answers = ledger.refinery.trace_lineage(reference, direction=direction, **fields)
    steps: list[LineageStep] = [step async for step in answers]
    younger_first = -1 if direction is UP else 1
    order = [(step.depth, younger_first * step.position) for step in steps]
    assert order == sorted(order)
    reached = {step.ref: step.depth for step in steps}
    assert len(reached) == len(steps)
    for step in steps:
        for edge in step.edges:
            near, far = (edge.from_ref, edge.to_ref) if direction is UP else (edge.to_ref, edge.from_ref)
            assert (far, reached[near]) == (step.ref, step.depth - 1)
    return reached, answers.truncated


async def family(ledger: Ledger) -> None:
    """order -> (schema) s, (target) a and b, (instruction) p, (budget) m, (author) r, (prototype) old."""
    await ledger.refine(Draft(type=VibeType.ROLE, id="r"))
    await ledger.refine(Draft(type=VibeType.PROCESS, id="p"), author_ref="aug:/r")
    await ledger.refine(record("s", schema=True), record("m"), record("old"), author_ref="aug:/r")
    await ledger.refine(record("a"), author_ref="aug:/r")
    await ledger.refine(record("b"), author_ref="aug:/r", target_refs=["aug:/a"])
    await ledger.refine(
        record("order", schema={"$ref": "aug:/s"}, prototype_ref="aug:/old"),
        author_ref="aug:/r",
        target_refs=["aug:/a", "aug:/b"],
        instruction_refs=["aug:/p"],
        budget_refs=["aug:/m"],
    )


async def test_lineage_up_is_all_that_made_it_by_the_shortest_way(ledger: Ledger) -> None:
    await family(ledger)
    reached, truncated = await walk(ledger, "aug:/order")
    near = dict.fromkeys((f"main@{id_}?1" for id_ in ("s", "a", "b", "p", "m", "old", "r")), 1)
    assert reached == {"main@order?1": 0, AUTHOR: 2, **near}
    assert not truncated


async def test_lineage_down_is_all_that_came_of_it(ledger: Ledger) -> None:
    await family(ledger)
    reached, truncated = await walk(ledger, "main@a?1", DOWN)
    assert reached == {"main@a?1": 0, "main@b?1": 1, "main@order?1": 1}
    assert not truncated
    everything, _ = await walk(ledger, AUTHOR, DOWN)
    assert {**everything, AUTHOR: 0} == everything
    assert len(everything) == SEEDED_VIBES + 8


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (EdgeType.SCHEMA, {"s"}),
        (EdgeType.AUTHOR, {"r", "system/genesis"}),
        (EdgeType.TARGET, {"a", "b"}),
        (EdgeType.INSTRUCTION, {"p"}),
        (EdgeType.BUDGET, {"m"}),
        (EdgeType.PROTOTYPE, {"old"}),
    ],
)
async def test_lineage_follows_only_the_edges_that_are_asked_for(
    ledger: Ledger, kind: EdgeType, expected: set[str]
) -> None:
    await family(ledger)
    reached, _ = await walk(ledger, "aug:/order", edge_types=[kind])
    assert {*reached} == {"main@order?1"} | {f"main@{id_}?1" for id_ in expected}
    for id_ in expected - {"system/genesis"}:
        down, _ = await walk(ledger, f"aug:/{id_}", DOWN, edge_types=[kind])
        assert "main@order?1" in down
    both, _ = await walk(ledger, "aug:/order", edge_types=[kind, EdgeType.SCHEMA])
    assert {*both} == {*reached, "main@s?1"}


async def test_a_step_names_every_edge_that_joins_it_to_the_step_before(ledger: Ledger) -> None:
    await ledger.refine(Draft(type=VibeType.ROLE, id="r", schema=True))
    await ledger.refine(
        record("x", schema={"$ref": "aug:/r"}, prototype_ref="aug:/r"),
        author_ref="aug:/r",
        target_refs=["aug:/r"],
        budget_refs=["aug:/r", "main@r?1"],
    )
    steps = [step async for step in ledger.refinery.trace_lineage("aug:/x", max_depth=1)]
    kinds = {EdgeType.SCHEMA, EdgeType.PROTOTYPE, EdgeType.AUTHOR, EdgeType.TARGET, EdgeType.BUDGET}
    assert {*steps[1].edges} == {Edge("main@x?1", "main@r?1", kind) for kind in kinds}
    assert (steps[1].type, steps[1].position) == (VibeType.ROLE, FIRST)


async def line(ledger: Ledger, length: int) -> None:
    """x?2 was made from x?1, x?3 from x?2, and so on."""
    await ledger.record("x")
    for _ in range(length - 1):
        await ledger.record("x", target_refs=["aug:/x"])


async def test_depth_cuts_a_walk_which_says_so(ledger: Ledger) -> None:
    await line(ledger, 6)
    fields: dict[str, Any] = {"edge_types": [EdgeType.TARGET]}
    for direction, start in ((UP, "main@x?6"), (DOWN, "main@x?1")):
        for depth in range(1, 8):
            reached, truncated = await walk(ledger, start, direction, max_depth=depth, **fields)
            assert len(reached) == min(depth, 5) + 1
            assert truncated == (depth < 5)


async def test_the_number_of_vibes_cuts_a_walk_which_says_so(ledger: Ledger) -> None:
    await ledger.record("root")
    leaves = [record(f"leaf/{number}") for number in range(30)]
    await ledger.refine(*leaves, target_refs=["aug:/root"])
    for most in (1, 2, 30, 31, 32, 100):
        reached, truncated = await walk(ledger, "aug:/root", DOWN, max_vibes=most)
        assert len(reached) == min(most, 31)
        assert truncated == (most < 31)


async def test_many_edges_between_few_vibes_do_not_cut_a_walk_that_is_within_its_limits(
    ledger: Ledger,
) -> None:
    """20 Vibes were each made from the same 20: 400 edges, 41 Vibes."""
    await ledger.refine(*(record(f"old/{number}") for number in range(20)))
    olds = [f"aug:/old/{number}" for number in range(20)]
    await ledger.refine(*(record(f"new/{number}") for number in range(20)), target_refs=olds)
    await ledger.record("last", target_refs=[f"aug:/new/{number}" for number in range(20)])
    fields: dict[str, Any] = {"edge_types": [EdgeType.TARGET]}
    for most in (41, 42, 60):
        reached, truncated = await walk(ledger, "aug:/last", max_vibes=most, **fields)
        assert (len(reached), truncated) == (41, False)
    reached, truncated = await walk(ledger, "aug:/last", max_vibes=40, **fields)
    assert (len(reached), truncated) == (40, True)


async def test_nothing_after_as_of_is_reached(ledger: Ledger) -> None:
    await line(ledger, 5)
    for length in range(1, 6):
        context = Context("main", SEEDED + length)
        reached, truncated = await walk(ledger, "main@x?1", DOWN, context=context)
        assert len(reached) == length
        assert not truncated
    third = Context("main", SEEDED + 3)
    reached, _ = await walk(ledger, "aug:/x", context=third, edge_types=[EdgeType.TARGET])
    assert {*reached} == {"main@x?3", "main@x?2", "main@x?1"}


async def test_a_walk_is_of_one_moment_while_writes_go_on(ledger: Ledger) -> None:
    await line(ledger, 30)

    async def write() -> None:
        for _ in range(100):
            await ledger.record("x", target_refs=["main@x?1"])

    writing = asyncio.create_task(write())
    for _ in range(10):
        reached, truncated = await walk(ledger, "main@x?30")
        assert (len(reached), truncated) == (31, False)
    await writing


async def test_a_start_that_is_an_alias_or_a_diamond_is_walked_once(ledger: Ledger) -> None:
    await ledger.branch("dev")
    await ledger.record("x")
    await ledger.refine(record("x", branches=["main", "dev"]), target_refs=["main@x?1"])
    user = await ledger.record("user", target_refs=["dev@x?2", "main@x?2", "aug:~dev/x"])
    reached, _ = await walk(ledger, "dev@x?2", DOWN)
    assert reached == {"main@x?2": 0, user.ref: 1}
    reached, _ = await walk(ledger, "aug:/user", edge_types=[EdgeType.TARGET])
    assert reached == {user.ref: 0, "main@x?2": 1, "main@x?1": 2}


async def test_a_thousand_vibes_wide_and_a_hundred_deep_are_walked(ledger: Ledger) -> None:
    await line(ledger, 101)
    await ledger.refine(*(record(f"w/{number}") for number in range(1_000)), target_refs=["main@x?101"])
    reached, truncated = await walk(ledger, "main@x?1", DOWN, edge_types=[EdgeType.TARGET])
    assert (len(reached), truncated) == (101, True)
    reached, truncated = await walk(ledger, "main@x?2", DOWN, edge_types=[EdgeType.TARGET])
    assert (len(reached), max(reached.values()), truncated) == (1_100, 100, False)


async def test_a_vibe_with_more_edges_than_a_part_holds_comes_once_with_all_of_them(ledger: Ledger) -> None:
    few, many = 60, 1_100
    await ledger.refine(*(record(f"base/{number}") for number in range(2)))
    bases = ["aug:/base/0", "aug:/base/1"]
    await ledger.refine(*(record(f"left/{number}") for number in range(few)), target_refs=bases)
    for half in range(2):
        made = [record(f"right/{half}/{number}") for number in range(many // 2)]
        await ledger.refine(*made, target_refs=["aug:/base/1"])
    halves = [[f"aug:/right/{half}/{number}" for number in range(many // 2)] for half in range(2)]
    lefts = [f"aug:/left/{number}" for number in range(few)]
    await ledger.record("last", target_refs=[*lefts, *halves[0], *halves[1]])
    steps = [step async for step in ledger.refinery.trace_lineage("aug:/last", edge_types=[EdgeType.TARGET])]
    edges = {step.ref: len(step.edges) for step in steps if step.depth == 2}
    assert edges == {"main@base/0?1": few, "main@base/1?1": few + many}
    assert len(steps) == 1 + few + many + 2


async def test_a_walk_over_many_edges_between_long_refs_comes_in_parts_that_a_message_can_hold(
    ledger: Ledger,
) -> None:
    """6,000 edges of 900 bytes: more than the 4 MiB of one message."""
    folder, olds, news = "x" * 440, 15, 400
    await ledger.refine(*(record(f"{folder}/old/{number}") for number in range(olds)))
    targets = [f"aug:/{folder}/old/{number}" for number in range(olds)]
    await ledger.refine(*(record(f"{folder}/new/{number}") for number in range(news)), target_refs=targets)
    await ledger.record("last", target_refs=[f"aug:/{folder}/new/{number}" for number in range(news)])
    reached, truncated = await walk(ledger, "aug:/last", edge_types=[EdgeType.TARGET])
    assert (len(reached), truncated) == (1 + news + olds, False)
    fields: dict[str, Any] = {"edge_types": [EdgeType.TARGET], "max_depth": 1}
    last = (await walk(ledger, f"aug:/{folder}/old/0", DOWN, **fields))[0]
    assert len(last) == 1 + news


async def test_a_vibe_with_more_edges_than_a_message_holds_goes_on_in_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gives each Vibe once, with all its edges, wherever the stream is divided."""
    folder, many = "x" * 100, 40
    await ledger.refine(record(f"{folder}/base"), record("after"))
    made = [record(f"{folder}/{number}") for number in range(many)]
    await ledger.refine(*made, target_refs=[f"aug:/{folder}/base", "aug:/after"])
    await ledger.record("last", target_refs=[f"aug:/{folder}/{number}" for number in range(many)])

    async def steps() -> list[LineageStep]:
        return [
            step async for step in ledger.refinery.trace_lineage("aug:/last", edge_types=[EdgeType.TARGET])
        ]

    whole = await steps()
    assert [len(step.edges) for step in whole[-2:]] == [many, many]
    monkeypatch.setattr(lineage, "EDGES_PER_PART", 7)
    for most in (1, 3_000, 1 << 20):
        monkeypatch.setattr(lineage, "PART_BYTES", most)
        assert await steps() == whole
        sizes = [
            message.ByteSize()
            async for message in ledger.stub.TraceLineage(pb.TraceLineageRequest(reference="aug:/last"))
        ]
        assert max(sizes) < 7 * 300 + most


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"max_depth": 101}, InvalidField),
        ({"max_depth": -1}, InvalidField),
        ({"max_vibes": 100_001}, InvalidField),
        ({"max_vibes": -1}, InvalidField),
        ({"context": Context("main", 99)}, PositionOutOfRange),
        ({"reference": "aug:/nothing"}, VibeNotFound),
        ({"reference": ""}, InvalidField),
    ],
)
async def test_a_walk_that_cannot_be_is_refused(
    ledger: Ledger, fields: dict[str, Any], refusal: type[RefineryError]
) -> None:
    with pytest.raises(refusal):
        await walk(ledger, **{"reference": AUTHOR, **fields})
