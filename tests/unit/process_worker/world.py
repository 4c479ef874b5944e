"""A world in memory for the engine: time that flies while the engine waits, and scripted answers."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from process_worker.engine.calls import HttpCall, RunProcess
from process_worker.engine.faults import standard
from process_worker.engine.ports import EvaluationFault, Killed, Request
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.parts import Expression

T = TypeVar("T")


class _Flight(selectors.SelectSelector):
    """A selector that advances the time instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen"
        self.now += max(timeout, 0) + 1e-6  # a float may fall short
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.flight = _Flight()
        super().__init__(self.flight)

    def time(self) -> float:
        return self.flight.now


def fly(work: Coroutine[Any, Any, T]) -> T:
    """Run something in a time of its own."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


class World:
    """Ports in memory."""

    def __init__(
        self,
        evaluator: Evaluator,
        answers: Mapping[str, Sequence[tuple[int, Any]]] | None = None,
        *,
        full_every: int = 0,
    ) -> None:
        self._evaluator = evaluator
        self._answers = {path: list(script) for path, script in (answers or {}).items()}
        self._full_every = full_every
        self._looks = itertools.count(1)
        self.requests: list[Request] = []
        self.breaths = 0

    @property
    def called(self) -> list[str]:
        calls = [request.call for request in self.requests]
        return [urlsplit(call.uri).path for call in calls if isinstance(call, HttpCall)]

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        try:
            return self._evaluator.evaluate(expressions, value, variables)
        except Killed as killed:
            raise EvaluationFault(str(killed)) from None

    async def perform(self, request: Request) -> Any:
        self.requests.append(request)
        await asyncio.sleep(0.001)
        call = request.call
        if not isinstance(call, HttpCall):
            return call.input if isinstance(call, RunProcess) else None
        script = self._answers[urlsplit(call.uri).path]
        status, content = script.pop(0) if len(script) > 1 else script[0]
        if status >= 300:
            raise standard("communication", f"the server answered {status}", status=status)
        if call.answer == "response":
            return {"statusCode": status, "content": content}
        return content

    async def pause(self, milliseconds: int, pointer: str) -> None:
        await asyncio.sleep(milliseconds / 1_000)

    async def breathe(self) -> None:
        self.breaths += 1
        await asyncio.sleep(0)

    def now_us(self) -> int:
        return 1_700_000_000_000_000 + int(asyncio.get_running_loop().time() * 1_000_000)

    def random(self) -> float:
        return 0.5

    def is_full(self) -> bool:
        return bool(self._full_every) and next(self._looks) % self._full_every == 0
