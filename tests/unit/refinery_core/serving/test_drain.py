from __future__ import annotations

import asyncio

import pytest

from refinery_core.errors import Draining
from refinery_core.serving.drain import Drain
from tests.support.waiting import PATIENCE


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


async def test_a_stream_drains_at_its_age_and_the_server_does_not() -> None:
    drain = Drain(stream_age_seconds=0.01)
    with drain.of_stream() as stream, pytest.raises(Draining):
        await stream.or_result(asyncio.sleep(PATIENCE))
    assert not drain.begun


async def test_streams_drain_with_their_server_whenever_they_began() -> None:
    drain = Drain()
    with drain.of_stream() as before:
        assert not before.begun
        drain.begin()
        assert before.begun
        with drain.of_stream() as after:
            assert after.begun


async def test_a_stream_that_has_ended_is_forgotten() -> None:
    drain = Drain(stream_age_seconds=0.01)
    with drain.of_stream() as stream:
        pass
    assert not drain._streams
    await asyncio.sleep(0.02)
    assert not stream.begun


async def test_streams_that_began_together_do_not_end_together() -> None:
    loop = asyncio.get_running_loop()
    drain, begin = Drain(stream_age_seconds=0.2), loop.time()

    async def age() -> float:
        with drain.of_stream() as stream:
            await stream.wait()
        return loop.time() - begin

    ages = await asyncio.gather(*(age() for _ in range(20)))
    assert min(ages) >= 0.9 * 0.2
    assert max(ages) - min(ages) > 0.005
