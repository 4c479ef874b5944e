"""The worker's side of a child process that evaluates jq; `child.py` is its program."""

from __future__ import annotations

import contextlib
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from process_worker.engine.ports import Killed

_PROGRAM: Final = Path(__file__).with_name("child.py")


class Child:
    """One child. When the worker dies, the child reads the end of its input, and ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-I", str(_PROGRAM)],
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
        self._content = bytearray()
        self.pid = self._process.pid

    def give(self, request: bytes) -> None:
        """
        Send a frame; the child handles one after the other.

        Raises:
            Killed: it has ended.
        """
        view = memoryview(request)
        try:
            # The child reads a whole frame before it begins, so this cannot block for long.
            while view:
                view = view[self._in.write(view) or 0 :]
        except BrokenPipeError:
            raise Killed("the child has ended") from None

    def answer(self, deadline: float) -> bytes:
        """
        Read the frame of its answer.

        Raises:
            TimeoutError: it has not answered yet; call again.
            Killed: it took too much CPU time or memory, and has ended.
        """
        self._read(4, deadline)
        (length,) = struct.unpack_from("<I", self._content)
        self._read(4 + length, deadline)
        content = bytes(memoryview(self._content)[4:])
        self._content.clear()
        return content

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._in, self._out):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read(self, count: int, deadline: float) -> None:
        """Read until so many bytes are there."""
        while len(self._content) < count:
            left = max(deadline - time.monotonic(), 0)
            if not self._readable.poll(left * 1000):
                raise TimeoutError
            part = self._out.read(count - len(self._content))
            if not part:
                raise Killed("the expression took too much time or memory")
            self._content += part
