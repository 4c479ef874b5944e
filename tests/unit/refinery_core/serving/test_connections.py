from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import grpc
import pytest
import structlog

from process_worker.activities.outside.gateway import SECONDS
from refinery_client.refusals import refusal_from
from refinery_core.errors import Draining
from refinery_core.serving.connections import Connections
from refinery_core.serving.drain import STREAM_AGE_SECONDS
from tests.support.waiting import PATIENCE, until
from tests.unit.refinery_core.serving.conftest import ANSWER, PATH, REQUEST, asked

AT_ONCE = 4_000


def pinging(seconds: float) -> list[tuple[str, int]]:
    """A client that pings this often, also while there is no traffic."""
    return [
        ("grpc.keepalive_time_ms", round(seconds * 1e3)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]


async def silent_call(run: Any, *, ping: float, permitted: float, seconds: float) -> str:
    """The outcome of a call that is silent for a time while its client pings."""
    async with run(connections=Connections(ping_seconds=permitted), client_options=pinging(ping)) as server:
        waiting = asyncio.create_task(server.one("wait", seconds=seconds + PATIENCE))
        await until(lambda: server.shapes.entered == 1)
        await asyncio.wait([waiting], timeout=seconds)
        server.shapes.release.set()
        try:
            return str(await waiting)
        except grpc.aio.AioRpcError as error:
            return str(error.details())


async def test_a_client_may_ping_at_half_the_permitted_rate_for_as_long_as_a_call_takes(run: Any) -> None:
    """As our own client does, scaled from minutes to seconds. gRPC pings once a second at the most."""
    assert await silent_call(run, ping=1, permitted=0.5, seconds=5) == "wait"


async def test_a_client_that_pings_more_often_than_is_permitted_loses_its_connection(run: Any) -> None:
    assert await silent_call(run, ping=1, permitted=60, seconds=PATIENCE) == "Too many pings"


async def test_calls_that_come_faster_than_they_are_looked_at_wait_and_are_answered(server: Any) -> None:
    """More than gRPC would have wait by itself: it drops them as CANCELLED, and others with them."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)
        waiting = [call.future(asked("a"), timeout=PATIENCE) for _ in range(AT_ONCE)]
        # The server shares this loop and stands still with it, so that calls pile up.
        time.sleep(1)  # noqa: ASYNC251 -- it is the cause, and no condition is awaited
        codes = await asyncio.to_thread(lambda: Counter(one.code() for one in waiting))
    assert codes.keys() <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes


async def test_an_old_connection_takes_no_new_call_and_what_runs_on_it_goes_on(run: Any) -> None:
    async with run(connections=Connections(age_seconds=0.2)) as server:
        watching = aiter(server.watch())
        await anext(watching)
        waiting = asyncio.create_task(server.one("wait"))
        await until(lambda: server.shapes.entered == 2)
        with structlog.testing.capture_logs() as lines:
            await until(lambda: peers_after(server, lines))
        server.shapes.release.set()

        assert await waiting == "wait"
        server.drain.ask()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await anext(watching)
        assert type(refusal_from(ended.value)) is Draining


async def peers_after(server: Any, lines: list[Any]) -> bool:
    """Whether calls have come over more than one connection by now."""
    await server.one("a")
    return len({line["peer"] for line in lines if line["event"] == "call"}) > 1


def test_a_connection_outlives_all_that_may_have_begun_on_it() -> None:
    """The oldest stream that is ended by its age, and after it the longest call of a capability."""
    assert Connections().grace_seconds > 1.1 * STREAM_AGE_SECONDS + SECONDS


@pytest.mark.long
@pytest.mark.timeout(600)  # The silence alone takes nearly as long as a test may by default.
async def test_a_call_of_minutes_outlives_keepalive_as_it_is_set(run: Any) -> None:
    """255 s, a ping each 60 s: the fourth would have been the third too many where 300 s are between two."""
    assert await silent_call(run, ping=60, permitted=Connections().ping_seconds, seconds=255) == "wait"
