"""Coalesces what is in flight: many refines, one transaction, an answer for each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import structlog

from refinery_core.errors import Draining, OutcomeUnknown, RefineryError
from refinery_core.postgres.database import Database

MAX_REQUESTS = 64
MAX_BYTES = 8 << 20

_log = structlog.get_logger("refinery.commit")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What refine() answered to one request: `committed`, `replayed`, `refused` or `stale`."""

    kind: str
    answer: dict[str, Any]

    @classmethod
    def from_row(cls, row: Mapping[str, str | None]) -> Outcome:
        """Read a row of refine() or forecast()."""
        answer = row["answer"]
        return cls(str(row["outcome"]), {} if answer is None else orjson.loads(answer))


@dataclass(slots=True)
class _Waiting:
    request: bytes
    answer: asyncio.Future[Outcome]


class Committer:
    """
    Sends requests to refinery.refine() in batches: while one is committed, the next one gathers.

    Two flushers, so that the database does not wait for Python; the lock inside refine() orders them.
    """

    def __init__(self, database: Database, *, flushers: int = 2) -> None:
        self._database = database
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._flushers = [asyncio.create_task(self._flush_for_ever()) for _ in range(flushers)]

    async def commit(self, request: bytes) -> Outcome:
        """
        Commit one request, JSON as functions/refine.sql describes it, and wait until it is durable.

        Who stops waiting before the request is sent takes it back.

        Raises:
            OutcomeUnknown, DatabaseUnavailable: as Database.write says.
        """
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._filled.set()
        return await waiting.answer

    async def aclose(self) -> None:
        """Refuse what waits, and stop."""
        for flusher in self._flushers:
            flusher.cancel()
        for flusher in self._flushers:
            with suppress(asyncio.CancelledError):
                await flusher
        while self._queue:
            _settle(self._queue.popleft(), Draining())

    async def _flush_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            if batch:
                await self._flush(batch)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < MAX_REQUESTS:
            if self._queue[0].answer.done():
                self._queue.popleft()
                continue
            size += len(self._queue[0].request)
            if batch and size > MAX_BYTES:
                break
            batch.append(self._queue.popleft())
        if not self._queue:
            self._filled.clear()
        return batch

    async def _flush(self, batch: list[_Waiting]) -> None:
        try:
            outcomes: list[Outcome | Exception] = [*await self._refine(batch)]
        except asyncio.CancelledError:
            for waiting in batch:
                _settle(waiting, OutcomeUnknown())
            raise
        except asyncpg.PostgresError as error:
            # One of them is beyond what refine() foresees. Alone, it cannot touch a neighbour.
            if len(batch) > 1:
                _log.exception("a batch failed as a whole; each of it goes alone", size=len(batch))
                for waiting in batch:
                    await self._flush([waiting])
                return
            outcomes = [error]
        except Exception as error:  # noqa: BLE001 - a mistake of ours is answered, and the flusher lives on
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _settle(waiting, outcome)

    async def _refine(self, batch: list[_Waiting]) -> list[Outcome]:
        requests = b"[" + b",".join(waiting.request for waiting in batch) + b"]"
        rows = await self._database.write("refine", requests.decode())
        return [Outcome.from_row(row) for row in rows]


def _settle(waiting: _Waiting, outcome: Outcome | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Outcome):
        waiting.answer.set_result(outcome)
    elif isinstance(outcome, RefineryError):
        # Each caller raises its own: an exception gathers the traceback of whoever raises it.
        waiting.answer.set_exception(type(outcome)(**outcome.metadata))
    else:
        waiting.answer.set_exception(outcome)
