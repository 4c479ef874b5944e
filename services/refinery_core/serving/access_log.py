"""A line in the log for each call: what was asked, by whom, how it ended, how long it took; and a count."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import structlog

from refinery_core.errors import UnknownMethod
from refinery_core.serving.around import Call
from refinery_core.serving.metrics import count

_log = structlog.get_logger("refinery.access")

_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class AccessLog:
    """Logs the call when it has ended. Health checks and reflection are for debugging only."""

    __slots__ = ("_call", "_start")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._start = time.perf_counter()

    async def __aenter__(self) -> None:
        """Let the call run."""

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Write the line."""
        call = self._call
        line = _log.debug if call.infrastructure else _log.info
        cancelled = isinstance(error, asyncio.CancelledError)
        code = "CANCELLED" if cancelled else _code_name(call.context.code())
        reason = None if call.refusal is None else call.refusal.reason
        seconds = time.perf_counter() - self._start
        # There is no end of names that nobody knows; they are counted under one.
        counted = "/unknown/unknown" if isinstance(call.refusal, UnknownMethod) else call.method
        count(counted, code, reason, seconds, streaming=call.streaming)
        line(
            "call",
            method=call.method,
            code=code,
            ms=round(seconds * 1e3, 2),
            principal=call.caller.principal,
            peer=call.context.peer(),
            **({} if reason is None else {"reason": reason}),
        )


def _code_name(code: Any) -> str:
    # An aborted call knows its code as a number, one that a servicer set as the enum.
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(code or 0, "UNKNOWN")
