"""jq outside the worker's process: in children that may hang, swell and crash, without harm to others.

`evaluate` is synchronous on purpose. A workflow has to get its answer in the same step, without an event in
Temporal's history, and Temporal runs workflows in threads: waiting here holds up one workflow, and releases
the interpreter to all others. An answer depends on the expression and its input alone, so that an evaluation
goes on when nobody waits for it any more, and the next request for the same gets its answer: however busy the
machine is, nothing is computed twice.
"""

from __future__ import annotations

import asyncio
import queue
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, Self

import orjson

from process_worker.engine.ports import Busy, EvaluationFault, Starved
from process_worker.jq.parent import Child
from refinery_core.kept import Kept
from refinery_core.process.parts import Expression
from refinery_core.texts import cut
from refinery_core.vibe.documents import MAX_BYTES as _MAX_INPUT_BYTES
from refinery_core.vibe.documents import MAX_DEPTH

SECONDS: Final = 2.0
"""The CPU time of expressions that are evaluated together."""
_AT_ONCE: Final = 0.8
"""The seconds that a workflow waits: meanwhile it holds a thread, and Temporal's task."""
_PATIENCE: Final = 30.0
"""The seconds that an activity waits for a result; every _LOOK it notices if it was cancelled."""
_LOOK: Final = 2.0
_FAR: Final = 60.0
"""The seconds in which any machine gives a child its CPU time; after that, it may have been stopped."""
_COSTLY: Final = 0.02
"""Slow results are cached for a while: a workflow task that fails is carried out again."""
_KEPT_BYTES: Final = 8 << 20
_LARGEST_SCOPE: Final = 8 * _MAX_INPUT_BYTES
_SHOWN: Final = 120


class Evaluator:
    """A pool of children, each of which evaluates for one thread at a time. Safe to share between threads."""

    def __init__(self, children: int = 2, *, seconds: float = SECONDS, far: float = _FAR) -> None:
        self._seconds, self._far = seconds, far
        # A place is free with a child, or with None if the child could not be started: that is retried.
        self._free: queue.LifoQueue[Child | None] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._all: set[Child] = set()
        self._under_way: dict[bytes, Future[bytes]] = {}
        self._kept: Kept[bytes, bytes] = Kept(_KEPT_BYTES)
        self._closed = False
        for _ in range(children):
            self._free.put(self._started())

    def evaluate(
        self,
        expressions: Sequence[Expression],
        value: Any,
        variables: Mapping[str, Any],
        *,
        patience: float = _AT_ONCE,
    ) -> list[Any]:
        """
        Evaluate expressions that read the same value, in one round trip.

        `patience` is the seconds to wait, for a free child and for its answer. No result reads as null.

        Raises:
            EvaluationFault: one of them cannot be evaluated on this value.
            Busy: there is no result yet; the evaluation goes on, and the same request joins it.
            Killed: they took too much time or memory.
        """
        request = _request(expressions, value, variables, self._seconds)
        answer = self._answer(request, time.monotonic() + patience)
        return [_read(*part) for part in zip(expressions, _parts(answer), strict=True)]

    async def evaluate_patiently(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """
        Evaluate for an activity, with long patience.

        Raises:
            EvaluationFault: as above.
            Busy: there is no result yet, in spite of the patience.
            Killed: as above.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await asyncio.to_thread(self.evaluate, expressions, value, variables, patience=_LOOK)
            except Starved:
                raise
            except Busy:
                if time.monotonic() > until:
                    raise

    @property
    def pids(self) -> frozenset[int]:
        """The children's process ids."""
        with self._lock:
            return frozenset(child.pid for child in self._all)

    def close(self) -> None:
        """End the children; nothing is evaluated after that."""
        with self._lock:
            self._closed = True
            children, self._all = self._all, set()
        for child in children:
            child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: bytes, deadline: float) -> bytes:
        with self._lock:
            kept, under_way = self._kept.get(request), self._under_way.get(request)
        if kept is not None:
            return kept
        if under_way is not None:
            return _joined(under_way, deadline)
        child, begun = self._take(deadline), time.monotonic()
        try:
            child.give(request)
            answer = child.answer(deadline)
        except TimeoutError:
            self._leave(request, child)
            raise Busy("the machine was too busy") from None
        except BaseException:
            self._replace(child)
            raise
        self._free.put(child)
        if time.monotonic() - begun > _COSTLY:
            self._keep(request, answer)
        return answer

    def _leave(self, request: bytes, child: Child) -> None:
        """Let a child go on with an evaluation that has no waiter any more."""
        future: Future[bytes] = Future()
        with self._lock:
            self._under_way[request] = future
        threading.Thread(target=self._finish, args=(request, child, future), daemon=True).start()

    def _finish(self, request: bytes, child: Child, future: Future[bytes]) -> None:
        try:
            answer = child.answer(time.monotonic() + self._far)
        except BaseException as error:  # noqa: BLE001 -- it is handed to those who wait
            self._replace(child)
            self._keep(request, None)
            starved = Starved(f"it had too little CPU time for {self._far:.0f} seconds")
            future.set_exception(starved if isinstance(error, TimeoutError) else error)
        else:
            self._free.put(child)
            self._keep(request, answer)
            future.set_result(answer)

    def _keep(self, request: bytes, answer: bytes | None) -> None:
        with self._lock:
            self._under_way.pop(request, None)
            if answer is not None:
                self._kept.keep(request, answer, len(request) + len(answer))

    def _take(self, deadline: float) -> Child:
        try:
            child = self._free.get(timeout=max(deadline - time.monotonic(), 0)) or self._started()
        except queue.Empty:
            raise Busy("every child is busy") from None
        if child is None:
            self._free.put(None)
            raise Busy("no child can be started")
        return child

    def _replace(self, child: Child) -> None:
        child.kill()
        with self._lock:
            self._all.discard(child)
        self._free.put(self._started())

    def _started(self) -> Child | None:
        try:
            child = Child()
        except OSError:
            return None
        with self._lock:
            if not self._closed:
                self._all.add(child)
                return child
        child.kill()
        return None


def _joined(under_way: Future[bytes], deadline: float) -> bytes:
    try:
        return under_way.result(max(deadline - time.monotonic(), 0))
    except TimeoutError:
        raise Busy("the machine was too busy") from None


def _request(
    expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any], seconds: float
) -> bytes:
    mentioned = frozenset().union(*(expression.variables for expression in expressions))
    used = {name: variables[name] for name in variables if name in mentioned}
    programs = orjson.dumps(
        [[expression.source, sorted(expression.variables & used.keys())] for expression in expressions]
    )
    try:
        scope = orjson.dumps({"i": value, "v": used})
    except TypeError as error:
        # Other clients of Temporal may send text that no service accepts, such as half a character.
        raise _fault(expressions[0], f"what it reads is no JSON: {error}") from None
    if len(scope) > _LARGEST_SCOPE:
        raise _fault(expressions[0], f"it reads more than {_LARGEST_SCOPE} bytes")
    header = struct.pack("<III", 8 + len(programs) + len(scope), int(seconds * 1000), len(programs))
    return header + programs + scope


def _parts(answer: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 0
    while at < len(answer):
        (length,) = struct.unpack_from("<I", answer, at + 1)
        parts.append((answer[at : at + 1], answer[at + 5 : at + 5 + length]))
        at += 5 + length
    return parts


def _read(expression: Expression, part: tuple[bytes, bytes]) -> Any:
    mark, content = part
    if mark == b"!":
        raise _fault(expression, content.decode(errors="replace"))
    value = orjson.loads(content)
    if content.count(b"[") + content.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _fault(expression, f"its result has more than {MAX_DEPTH} levels")
    return value


def _fault(expression: Expression, problem: str) -> EvaluationFault:
    source = expression.source
    shown = cut(source, _SHOWN)
    return EvaluationFault(f"${{ {shown} }}: {problem}")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [
        item
        for outer in level
        if isinstance(outer, dict | list)
        for item in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        depth += 1
    return depth
