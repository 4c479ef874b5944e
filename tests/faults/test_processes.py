"""Every execution completes, and makes each of its commits once, however often a service dies."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from refinery_client import Draft
from refinery_core.postgres.verify import verify
from refinery_core.vibe.model import VibeType
from tests.faults.everybody import Everybody, end, start
from tests.faults.store import Store
from tests.support.load import AUTHOR
from tests.support.waiting import PATIENCE

REFINE = "aug:/system/capabilities/refine"
PROCESS = "main@processes/steps?1"
STEPS = 3
"""Commits in the middle; the result is one more."""
AMONG = "select count(*) from refinery.vibes where id = any($1)"


def process() -> Draft:
    tasks = [{f"step{n}": {"call": REFINE, "with": {"drafts": [step(n)]}}} for n in range(STEPS)]
    document = {"dsl": "1.0.3", "namespace": "tests", "name": "steps", "version": "1.0.0"}
    return Draft(type=VibeType.PROCESS, id="processes/steps", solution={"document": document, "do": tasks})


def step(n: int) -> dict[str, Any]:
    id_ = f'${{ "steps/" + $workflow.input.id + "/{n}" }}'
    return {"type": "RECORD", "id": id_, "solution": {"n": n}}


async def test_executions_survive_the_death_of_everybody(everybody: Everybody) -> None:
    await chaos(everybody, ["worker", "temporal", "ledger", "worker", "postgres"], per_death=2)


@pytest.mark.long
async def test_a_hundred_executions_survive_the_death_of_everybody_again_and_again(
    everybody: Everybody,
) -> None:
    others = [who for _ in range(3) for who in ("temporal", "ledger", "postgres")]
    pairs = itertools.zip_longest(["worker"] * 10, others)
    deaths = [who for pair in pairs for who in pair if who is not None]
    assert Counter(deaths) == {"worker": 10, "temporal": 3, "ledger": 3, "postgres": 3}
    ids = await chaos(everybody, [*deaths, None], per_death=5)
    assert len(ids) == 100


async def chaos(everybody: Everybody, deaths: Sequence[str | None], *, per_death: int) -> list[UUID]:
    """Before each death some executions are started, and one of them at least is in the middle."""
    await everybody.refinery.refine(author_ref=AUTHOR, drafts=[process()])
    before = await committed(everybody.store)
    begin = time.monotonic()
    ids: list[UUID] = []
    hit = 0
    async with asyncio.TaskGroup() as starting:
        for who in deaths:
            some = [uuid.uuid4() for _ in range(per_death)]
            ids += some
            for id_ in some:
                starting.create_task(everybody.execute(PROCESS, id_))
            unfinished = await until_one_is_in_the_middle(everybody.store, some)
            if who is not None:
                hit += unfinished
                await everybody.dies_and_comes_back(who)
    results = await asyncio.gather(*map(everybody.until_completed, ids))
    assert results == [f"main@results/{id_}?1" for id_ in ids]
    await check(everybody.store, ids, *before)
    print(f"{len(ids)} executions, {hit} of them begun and not done when somebody died, ", end="")
    print(f"in {time.monotonic() - begin:.1f} s")
    return ids


async def until_one_is_in_the_middle(store: Store, ids: Sequence[UUID]) -> int:
    """Wait until one of these executions has made its first commit; how many are not done then."""
    first, last = [f"steps/{id_}/0" for id_ in ids], [f"results/{id_}" for id_ in ids]
    connection = await asyncpg.connect(store.owner_url)
    try:
        async with asyncio.timeout(PATIENCE):
            while not await connection.fetchval(AMONG, first):
                await asyncio.sleep(0.005)
        return len(ids) - int(await connection.fetchval(AMONG, last))
    finally:
        await connection.close()


async def check(store: Store, ids: Sequence[UUID], refs_before: set[str], refinements_before: int) -> None:
    """Each step and each result is there once, and nothing else was ever committed."""
    refs, refinements = await committed(store)
    made = {f"main@steps/{id_}/{n}?1" for id_ in ids for n in range(STEPS)}
    made |= {f"main@results/{id_}?1" for id_ in ids} | {f"main@executions/{id_}?1" for id_ in ids}
    assert refs == refs_before | made
    assert refinements == refinements_before + len(made)
    assert (await verify(store.owner_url)).findings == []


async def committed(store: Store) -> tuple[set[str], int]:
    """All refs, and how many refinements made them."""
    connection = await asyncpg.connect(store.owner_url)
    try:
        refs = {str(row["ref"]) for row in await connection.fetch("select ref from refinery.vibes")}
        return refs, int(await connection.fetchval("select count(*) from refinery.refinements"))
    finally:
        await connection.close()


# --- What Temporal knew is lost ---------------------------------------------------------------


async def test_a_temporal_that_lost_everything_executes_again_what_is_asked_again(
    everybody: Everybody, tmp_path: Path
) -> None:
    listens = {"listen": {"to": {"one": {"with": {"type": "go"}}}}}
    document = {"dsl": "1.0.3", "namespace": "tests", "name": "listens", "version": "1.0.0"}
    do = [{"step0": {"call": REFINE, "with": {"drafts": [step(0)]}}}, {"listens": listens}]
    draft = Draft(type=VibeType.PROCESS, id="processes/listens", solution={"document": document, "do": do})
    await everybody.refinery.refine(author_ref=AUTHOR, drafts=[draft])
    id_ = uuid.uuid4()
    await everybody.execute("main@processes/listens?1", id_)
    await until_one_is_in_the_middle(everybody.store, [id_])
    await end(everybody.temporal)
    forget(tmp_path)
    await start(everybody.temporal)
    await everybody.execute("main@processes/listens?1", id_)
    await everybody.refinery.send_event(id_, author_ref=AUTHOR, id="1", type="go")
    assert await everybody.until_completed(id_) == f"main@results/{id_}?1"
    refs, _ = await committed(everybody.store)
    assert f"main@steps/{id_}/0?1" in refs
    assert f"main@steps/{id_}/0?2" not in refs
    listed = everybody.refinery.list_executions(process_ref="main@processes/listens?1")
    assert [each.id async for each in listed] == [id_]


def forget(folder: Path) -> None:
    """Delete what Temporal keeps."""
    for file in folder.glob("temporal.db*"):
        file.unlink()
