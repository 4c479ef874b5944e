from __future__ import annotations

import asyncio
from contextlib import suppress

from refinery_core.serving.fair import FairQueue, Turns


def test_callers_are_served_in_turn_and_each_in_its_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(item[0], item)
    assert len(queue) == 6
    assert queue.peek() == "a1"
    served = [queue.take() for _ in range(4)]
    assert served == ["a1", "b1", "c1", "a2"]
    queue.put("b", "b2")
    assert [queue.take() for _ in range(3)] == ["c2", "a3", "b2"]
    assert len(queue) == 0


async def test_only_so_many_work_at_once_and_the_callers_take_turns() -> None:
    turns, order, working, most = Turns(2), [], 0, 0

    async def work(caller: str) -> None:
        nonlocal working, most
        async with turns.turn(caller):
            working += 1
            most = max(most, working)
            order.append(caller)
            await asyncio.sleep(0)
            working -= 1

    async with asyncio.TaskGroup() as group:
        for caller in "aaaaabb":
            group.create_task(work(caller))
    assert most == 2
    assert "".join(order) == "aaababa"


async def test_a_turn_that_is_cancelled_while_it_waits_is_given_on() -> None:
    turns = Turns(1)
    entered = asyncio.Event()

    async def work() -> None:
        async with turns.turn("a"):
            entered.set()

    async with turns.turn("b"):
        gone, staying = asyncio.create_task(work()), asyncio.create_task(work())
        await asyncio.sleep(0)
        gone.cancel()
    # The turn may be granted and cancelled in one step of the loop: it must not be lost either way.
    await asyncio.wait_for(staying, 30)
    assert entered.is_set()
    with suppress(asyncio.CancelledError):
        await gone
    async with asyncio.timeout(30), turns.turn("c"):
        pass
