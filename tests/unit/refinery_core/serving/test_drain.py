from __future__ import annotations

import asyncio

import pytest

from refinery_core.errors import Draining
from refinery_core.serving.drain import Drain
from tests.cases.waiting import PATIENCE


async def test_what_is_inside_is_cut_short_at_the_drain() -> None:
    drain = Drain()
    asyncio.get_running_loop().call_later(0.01, drain.begin)
    with pytest.raises(Draining):
        async with asyncio.timeout(PATIENCE), drain.cutting():
            await asyncio.Event().wait()


async def test_what_begins_after_the_drain_is_cut_at_its_first_wait() -> None:
    drain = Drain()
    drain.begin()
    with pytest.raises(Draining):
        async with drain.cutting():
            await asyncio.Event().wait()


async def test_what_ends_before_the_drain_is_not_touched() -> None:
    drain = Drain()
    async with drain.cutting():
        await asyncio.sleep(0)
    drain.begin()
    await asyncio.sleep(0)


async def test_a_timeout_of_another_passes_as_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with Drain().cutting():
            raise TimeoutError
