from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from refinery_client import Refined, Refinery
from tests.cases.seeded import FIRST
from tests.conftest import Database
from tests.support.ledger import AUTHOR, Ledger, clients, ledger_process, record

CLIENTS = 32

Work = Callable[[Refinery, int], Awaitable[Refined]]


async def at_once(addresses: list[str], count: int, work: Work) -> list[Refined]:
    """Give each of `count` pieces of work to whichever of 32 clients is free."""
    numbers = iter(range(count))

    async def one(client: Refinery) -> list[Refined]:
        return [await work(client, number) for number in numbers]

    async with clients(addresses, CLIENTS) as everybody, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(client)) for client in everybody]
    return [refined for task in tasks for refined in task.result()]


def positions(refined: list[Refined]) -> list[int]:
    return sorted(one.refinement.position for one in refined if one.refinement)


async def refine_one_id(addresses: list[str], count: int) -> None:
    async def work(client: Refinery, number: int) -> Refined:
        return await client.refine(author_ref=AUTHOR, drafts=[record("hot", solution=number)])

    refined = await at_once(addresses, count, work)
    assert sorted(one.vibes[0].revision for one in refined) == [*range(1, count + 1)]
    assert positions(refined) == [*range(FIRST, FIRST + count)]
    in_order = sorted(refined, key=lambda one: one.vibes[0].position)
    assert [one.vibes[0].revision for one in in_order] == [*range(1, count + 1)]


async def test_32_clients_refine_one_id_2000_times_without_gap_or_error(ledger: Ledger) -> None:
    await refine_one_id([ledger.address], 2_000)
    heads = await ledger.rows("select count(*), max(revision) from refinery.vibes where id = 'hot'")
    assert tuple(heads[0]) == (2_000, 2_000)


async def refine_crossing_inputs(addresses: list[str], count: int) -> None:
    """Each refine of one of 100 ids takes two others as targets and one as instruction, floating."""
    chance = random.Random(1)
    lines = [chance.sample(range(100), 4) for _ in range(count)]

    async def work(client: Refinery, number: int) -> Refined:
        own, one, two, three = (f"ids/{line}" for line in lines[number])
        return await client.refine(
            author_ref="aug:/system/genesis",
            drafts=[record(own, solution=number)],
            target_refs=[f"aug:/{one}", f"aug:/{two}"],
            instruction_refs=[f"aug:/{three}"],
        )

    async with clients(addresses, 1) as (client,):
        await client.refine(author_ref=AUTHOR, drafts=[record(f"ids/{line}") for line in range(100)])
    refined = await at_once(addresses, count, work)
    assert positions(refined) == [*range(FIRST + 1, FIRST + 1 + count)]

    latest = {f"ids/{line}": 1 for line in range(100)}
    for one in sorted(refined, key=lambda one: one.vibes[0].position):
        assert one.refinement is not None
        for ref in (*one.refinement.target_refs, *one.refinement.instruction_refs):
            assert ref == f"main@{ref[5:].partition('?')[0]}?{latest[ref[5:].partition('?')[0]]}"
        latest[one.vibes[0].id] += 1
        assert one.vibes[0].revision == latest[one.vibes[0].id]
    written = Counter(f"ids/{line[0]}" for line in lines)
    assert latest == {id_: 1 + written[id_] for id_ in latest}


async def test_floating_inputs_that_cross_are_the_latest_at_the_commit(ledger: Ledger) -> None:
    await refine_crossing_inputs([ledger.address], 1_000)


async def revise_schemas(addresses: list[str], count: int) -> list[Refined]:
    """Ten schemas are revised while others refer to each of them twice, by two floating references."""
    chance = random.Random(2)
    plan = [(chance.randrange(10), chance.randrange(10)) for _ in range(count)]

    async def work(client: Refinery, number: int) -> Refined:
        own, guest = plan[number]
        if number % 2:
            draft = record(f"parts/{own}", schema={"$comment": f"{number}", "type": "object"})
        else:
            there = f"aug:/parts/{guest}"
            refer = {"$ref": there}, {"$ref": f"{there}#"}, {"$ref": f"aug:~main/parts/{guest}"}
            schema = {"properties": dict(zip("abc", refer, strict=True)), "$comment": f"{number}"}
            draft = record(f"wholes/{own}", schema=schema, solution={"a": {}})
        return await client.refine(author_ref=AUTHOR, drafts=[draft])

    async with clients(addresses, 1) as (client,):
        parts = [record(f"parts/{number}", schema={"type": "object"}) for number in range(10)]
        await client.refine(author_ref=AUTHOR, drafts=parts)
    return await at_once(addresses, count, work)


async def check_pins(addresses: list[str], refined: list[Refined]) -> int:
    """Replay the committed refines, in order: every pin is the latest at its position, and all agree."""
    latest = {f"parts/{number}": 1 for number in range(10)}
    seen = 0
    async with clients(addresses, 1) as (client,):
        ordered = sorted((one.vibes[0] for one in refined), key=lambda vibe: vibe.position)
        for start in range(0, len(ordered), 500):
            for vibe in await client.batch_get_vibes([v.ref for v in ordered[start : start + 500]]):
                if vibe.id in latest:
                    latest[vibe.id] += 1
                    continue
                pins = {part["$refResolved"] for part in vibe.schema["properties"].values()}
                guest = vibe.schema_refs[0].removeprefix("aug:/").removesuffix("#")
                assert pins == {f"main@{guest}?{latest[guest]}"}
                seen += 1
    return seen


async def test_references_to_one_id_inside_one_schema_agree_while_it_is_revised(ledger: Ledger) -> None:
    refined = await revise_schemas([ledger.address], 400)
    assert await check_pins([ledger.address], refined) == 200


@pytest.fixture
async def two_processes(database: Database, tmp_path: Path) -> AsyncIterator[list[str]]:
    """The addresses of two ledgers on one database."""
    async with (
        ledger_process(database, tmp_path / "one.log") as one,
        ledger_process(database, tmp_path / "other.log") as other,
    ):
        yield [one, other]


async def test_two_ledger_processes_on_one_database_are_one_ledger(two_processes: list[str]) -> None:
    await refine_one_id(two_processes, 600)


async def test_crossing_references_through_two_ledger_processes_are_pinned_at_the_commit(
    two_processes: list[str],
) -> None:
    await refine_crossing_inputs(two_processes, 400)
    assert await check_pins(two_processes, await revise_schemas(two_processes, 300)) == 150
