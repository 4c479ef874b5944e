"""Batches requests in flight: many refines, one transaction, an answer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson
import structlog

from ledger_service.clock import Clock
from refinery_core.errors import Draining, OutcomeUnknown, RefineryError
from refinery_core.postgres.database import Database
from refinery_core.serving.fair import FairQueue

MAX_REQUESTS: Final = 64
MAX_MILLISECONDS: Final = 100.0
"""The longest that one batch may hold the lock, as estimated; a request that takes longer goes alone."""
LARGE_MILLISECONDS: Final = 10.0
"""A request that takes longer waits in the lane of the large ones."""
SMALL_FLUSHERS: Final = 2
"""Two, so that the database does not wait for Python; the lock inside refine() orders them."""

_log = structlog.get_logger("refinery.commit")


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request as refinery.refine() takes it, see functions/refine.sql.

    `head` is its JSON; the documents of its drafts stand beside it, one of each for every draft.
    `milliseconds` is the estimated time under the lock.
    """

    head: bytes
    contexts: Sequence[str | None]
    schemas: Sequence[str | None]
    solutions: Sequence[str | None]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request: `committed`, `replayed`, `refused` or `stale`; its digests are bytes."""

    kind: str
    answer: dict[str, Any]

    @classmethod
    def from_row(cls, row: Mapping[str, str | None]) -> Outcome:
        """Read a row of refine() or forecast()."""
        answer = {} if row["answer"] is None else orjson.loads(row["answer"])
        if "chain" in answer:
            answer["chain"] = bytes.fromhex(answer["chain"])
            answer["digests"] = [bytes.fromhex(digest) for digest in answer["digests"]]
        return cls(str(row["outcome"]), answer)


@dataclass(slots=True)
class _Waiting:
    request: Request
    answer: asyncio.Future[Outcome]


class Committer:
    """
    Sends requests to refinery.refine() in batches: while one is committed, the next one gathers.

    Callers are served in turn. Large requests have a lane of their own with one batch in flight, so that a
    small one waits for one large batch at most, however many of them are sent.
    """

    def __init__(self, database: Database, *, committed: Callable[[int], None] = lambda _: None) -> None:
        """Call `committed` with the last position of each batch, after its COMMIT returned."""
        self._clock = Clock(database)
        self._small = _Lane(database, self._clock, committed, flushers=SMALL_FLUSHERS)
        self._large = _Lane(database, self._clock, committed, flushers=1)

    async def commit(self, request: Request, caller: str) -> Outcome:
        """
        Commit one request, and wait until it is durable. Cancelling before it is sent withdraws it.

        Raises:
            OutcomeUnknown, DatabaseUnavailable, ReadOnly: as Database.refine says.
        """
        lane = self._large if request.milliseconds > LARGE_MILLISECONDS else self._small
        return await lane.commit(request, caller)

    async def aclose(self) -> None:
        """Refuse the requests that wait, and stop."""
        await asyncio.gather(self._small.aclose(), self._large.aclose(), self._clock.aclose())


class _Lane:
    def __init__(
        self, database: Database, clock: Clock, committed: Callable[[int], None], *, flushers: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._committed = committed
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._filled = asyncio.Event()
        self._flushers = [asyncio.create_task(self._flush_for_ever()) for _ in range(flushers)]

    async def commit(self, request: Request, caller: str) -> Outcome:
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.put(caller, waiting)
        self._filled.set()
        return await waiting.answer

    async def aclose(self) -> None:
        for flusher in self._flushers:
            flusher.cancel()
        for flusher in self._flushers:
            with suppress(asyncio.CancelledError):
                await flusher
        while self._queue:
            _settle(self._queue.take(), Draining())

    async def _flush_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            if batch:
                await self._flush(batch)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        milliseconds = 0.0
        while self._queue and len(batch) < MAX_REQUESTS:
            if self._queue.peek().answer.done():
                self._queue.take()
                continue
            milliseconds += self._queue.peek().request.milliseconds
            if batch and milliseconds > MAX_MILLISECONDS:
                break
            batch.append(self._queue.take())
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
            # refine() did not foresee one of them. Alone, it cannot fail a neighbour.
            if len(batch) > 1:
                _log.exception("a batch failed as a whole; each of it goes alone", size=len(batch))
                await self._flush_one_by_one(batch)
                return
            outcomes = [error]
        except Exception as error:  # noqa: BLE001 - a mistake of ours is answered, and the flusher lives on
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _settle(waiting, outcome)

    async def _flush_one_by_one(self, batch: list[_Waiting]) -> None:
        for place, waiting in enumerate(batch):
            try:
                await self._flush([waiting])
            except asyncio.CancelledError:
                for unsent in batch[place + 1 :]:
                    _settle(unsent, Draining())
                raise

    async def _refine(self, batch: list[_Waiting]) -> list[Outcome]:
        requests = [waiting.request for waiting in batch]
        rows = await self._database.refine(
            (b"[" + b",".join(request.head for request in requests) + b"]").decode(),
            [text for request in requests for text in request.contexts],
            [text for request in requests for text in request.schemas],
            [text for request in requests for text in request.solutions],
        )
        outcomes = [Outcome.from_row(row) for row in rows]
        last = next((outcome.answer for outcome in reversed(outcomes) if outcome.kind == "committed"), None)
        if last is not None:
            self._database.pool.fence.committed(last["position"], last["chain"])
            self._clock.committed(last["time"])
            self._committed(last["position"])
        return outcomes


def _settle(waiting: _Waiting, outcome: Outcome | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Outcome):
        waiting.answer.set_result(outcome)
    elif isinstance(outcome, RefineryError):
        # Each caller raises a copy: an exception gathers the tracebacks of all that raise it.
        waiting.answer.set_exception(type(outcome)(**outcome.metadata))
    else:
        waiting.answer.set_exception(outcome)
