from __future__ import annotations

import asyncpg
from structlog.testing import capture_logs

from tests.cases.seeded import FIRST
from tests.support.ledger import Ledger
from tests.support.waiting import until

AHEAD = f"""
alter table refinery.refinements disable trigger user;
update refinery.refinements set time = clock_timestamp() + interval '1 hour' where position = {FIRST + 1}
"""


async def test_times_that_stand_still_after_a_clock_ran_ahead_are_told_once_with_by_how_much(
    ledger: Ledger,
) -> None:
    with capture_logs() as logged:
        await ledger.record("x")
        await ledger.record("x")
        superuser = await asyncpg.connect(ledger.database.owner_url)
        await superuser.execute(AHEAD)
        times = [(await ledger.record("x")).time for _ in range(5)]
        assert len({*times}) == 1

        def told() -> list[float]:
            return [line["seconds"] for line in logged if line["event"].startswith("times stand still")]

        await until(told)
        await ledger.record("x")
        (seconds,) = told()
        assert 3_000 < seconds < 3_600
        await superuser.close()


async def test_times_that_grow_are_nothing_to_tell(ledger: Ledger) -> None:
    with capture_logs() as logged:
        times = [(await ledger.record("x")).time for _ in range(5)]
        assert times == sorted({*times})
    assert [line for line in logged if line["log_level"] == "warning"] == []
