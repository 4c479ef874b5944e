"""Ends a process that was asked to stop and did not, so that nobody waits for it for ever."""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

import structlog

CUT_SHORT: Final = 75
"""The exit code of a process that was ended while something in it still ran."""

_log = structlog.get_logger("refinery.server")


def end_after(seconds: float) -> None:
    """
    End this process with CUT_SHORT once so much time has passed, unless it has ended by itself.

    A thread does it: it needs neither the event loop nor the threads that the interpreter waits for.
    """
    timer = threading.Timer(seconds, _end, [seconds])
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    try:
        _log.error("cut short", after_seconds=seconds, exit_code=CUT_SHORT)
        sys.stderr.flush()
    finally:
        os._exit(CUT_SHORT)
