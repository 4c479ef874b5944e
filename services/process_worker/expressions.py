"""jq outside the worker's process: children that may hang, swell and crash, and nobody else notices.

`evaluate` is synchronous on purpose. A workflow has to get its answer in the same step, without an event in
Temporal's history, and Temporal runs workflows in threads: waiting here holds up one workflow, and releases
the interpreter to all others. An answer depends on the expression and its input alone.
"""

from __future__ import annotations

import contextlib
import queue
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import orjson

from process_worker.ports import Busy, EvaluationFault, Killed
from refinery_core.process.parts import Expression
from refinery_core.vibe.documents import MAX_BYTES as _MAX_INPUT_BYTES
from refinery_core.vibe.documents import MAX_DEPTH

_CHILD: Final = Path(__file__).with_name("jq_child.py")
_LARGEST_SCOPE: Final = 8 * _MAX_INPUT_BYTES
_SHOWN: Final = 120
_SLACK_SECONDS: Final = 0.3
"""How much longer than its CPU time an evaluation may take on a busy machine, before it is given up."""


class Evaluator:
    """A pool of children, each of which evaluates for one thread at a time. Safe to share between threads."""

    def __init__(self, children: int = 2) -> None:
        # A place is free with a child, or with None where none could be started: that is tried again.
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._all: set[_Child] = set()
        self._closed = False
        for _ in range(children):
            self._free.put(self._started())

    def evaluate(
        self,
        expressions: Sequence[Expression],
        value: Any,
        variables: Mapping[str, Any],
        *,
        seconds: float = 0.5,
        patience: float = _SLACK_SECONDS,
    ) -> list[Any]:
        """
        Evaluate expressions that read the same value, in one round trip.

        `seconds` is the CPU time that all together may take; `patience` how many seconds to wait for a
        child that is free, and again for what the machine does meanwhile. No result at all reads as null.

        Raises:
            EvaluationFault: one of them is wrong, or wrong for this value.
            Busy: no child was free, or it had no time.
            Killed: they took too much.
        """
        request = _request(expressions, value, variables, seconds)
        child = self._take(patience)
        try:
            answer = child.ask(request, time.monotonic() + seconds + patience)
        except BaseException:
            self._replace(child)
            raise
        self._free.put(child)
        return [_read(*part) for part in zip(expressions, _parts(answer), strict=True)]

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

    def _take(self, patience: float) -> _Child:
        try:
            child = self._free.get(timeout=patience) or self._started()
        except queue.Empty:
            raise Busy("every child is busy") from None
        if child is None:
            self._free.put(None)
            raise Busy("no child can be started")
        return child

    def _replace(self, child: _Child) -> None:
        child.kill()
        with self._lock:
            self._all.discard(child)
        self._free.put(self._started())

    def _started(self) -> _Child | None:
        try:
            child = _Child()
        except OSError:
            return None
        with self._lock:
            if not self._closed:
                self._all.add(child)
                return child
        child.kill()
        return None


class _Child:
    """One child. When the worker dies, however it dies, the child reads the end of its input and ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._readable = select.poll()
        self._readable.register(self._out, select.POLLIN)
        self.pid = self._process.pid

    def ask(self, request: bytes, deadline: float) -> bytes:
        """Give it a frame and read the one that it answers."""
        try:
            # It always reads a whole frame before it begins, so that this cannot block for long.
            view = memoryview(request)
            while view:
                view = view[self._in.write(view) or 0 :]
            (length,) = struct.unpack("<I", self._read(4, deadline))
            return self._read(length, deadline)
        except BrokenPipeError:
            raise Killed("the child has ended") from None

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read(self, count: int, deadline: float) -> bytes:
        content = bytearray()
        while len(content) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not self._readable.poll(left * 1000):
                # Its CPU time is not used up, or it would have ended: it had none.
                raise Busy("the machine was too busy")
            part = self._out.read(count - len(content))
            if not part:
                raise Killed("the expression took too much time or memory")
            content += part
        return bytes(content)


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
        # Other clients of Temporal may give what no service takes, such as half a character.
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
    shown = source if len(source) <= _SHOWN else f"{source[: _SHOWN - 1]}…"
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
