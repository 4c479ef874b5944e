from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from process_worker.door import pages, wire
from process_worker.door.commands import Page
from refinery_client import Execution, ExecutionState, Schedule, ScheduleState
from refinery_core.process.standard_errors import Problem
from refinery_core.wire import MAX_MESSAGE_BYTES, DocumentForm

TIME = datetime(2026, 11, 21, 4, 5, 6, 789_012, tzinfo=UTC)
GRIN = "\U0001f600"
REF = f"main@{'p' * 500}?1"
LOUD = Execution(
    id=UUID(int=1),
    process_ref=REF,
    state=ExecutionState.FAULTED,
    start_time=TIME,
    record_ref=REF,
    end_time=TIME,
    tasks=(),
    listening=(),
    result_ref=None,
    problem=Problem("https://x.test/" + "t" * 985, -1, GRIN * 1_000, GRIN * 1_000, GRIN * 1_000),
)
QUIET = replace(
    LOUD, process_ref="", state=ExecutionState.RUNNING, record_ref="", end_time=None, problem=None
)
PAUSED = Schedule(
    id=UUID(int=1),
    process=f"aug:{REF}",
    process_ref=REF,
    record_ref=REF,
    start_time=TIME,
    cron=None,
    every=timedelta(seconds=1),
    state=ScheduleState.PAUSED,
    end_time=None,
    firings=(),
    next_times=(TIME,) * 10,
    pause_reason=GRIN * 1_024,
)


async def page(items: Sequence[str], size: int) -> tuple[Sequence[str], bytes | None]:
    async def read(size: int) -> tuple[Sequence[str], bytes | None]:
        return items[:size], str(size).encode() if size < len(items) else None

    return await pages.fitting(read, size)


async def test_a_page_ends_where_an_answer_has_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 10)
    assert await page([], 5) == ([], None)
    assert await page(["aaa", "b"], 5) == (["aaa", "b"], None)
    assert await page(["aaa", "bbb", "c"], 5) == (["aaa", "bbb"], b"2")
    assert await page(["aaa", "bbb", "c"], 1) == (["aaa"], b"1")
    assert await page(["a" * 20, "b"], 5) == (["a" * 20], b"1")
    assert await page(["a" * 20], 5) == (["a" * 20], None)


@pytest.mark.parametrize("item", [LOUD, PAUSED, QUIET])
def test_no_message_is_larger_than_what_is_counted(item: Execution | Schedule) -> None:
    if isinstance(item, Execution):
        message = wire.execution_message(item, DocumentForm.JSON).ByteSize()
    else:
        message = wire.schedule_message(item).ByteSize()
    assert message <= len(orjson.dumps(item, default=str))


async def test_a_page_of_whatever_there_is_can_be_sent() -> None:
    async def loud(size: int) -> tuple[list[Execution], None]:
        return [LOUD] * size, None

    async def paused(size: int) -> tuple[list[Schedule], None]:
        return [PAUSED] * size, None

    executions, _ = await pages.fitting(loud, 1_000)
    schedules, _ = await pages.fitting(paused, 1_000)
    for message in (
        wire.page_message(Page(tuple(executions), "t" * 1_000), DocumentForm.JSON),
        wire.schedules_message(Page(tuple(schedules), "t" * 1_000)),
    ):
        assert 2 << 20 < message.ByteSize() < MAX_MESSAGE_BYTES
