"""The folder of `refinery up`: locked by one process at a time, which can be asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from refinery_core.settings import CannotStart

_LOCK: Final = "up.lock"
_UNCLEAN_PATIENCE: Final = 10.0
"""Seconds that the children of a killed `up` get to drain."""


@contextlib.contextmanager
def held(data: Path) -> Iterator[float]:
    """
    Lock the folder; yield the seconds that children of a killed predecessor may still need.

    Raises:
        CannotStart: the folder cannot be made, or another process holds it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise CannotStart(f"Cannot use the folder {data}: {fault.strerror}.") from fault
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise CannotStart(
                f"'refinery up' is running already on {data} (process {_written(file) or 'unknown'}); "
                "stop it, or choose another folder with --data."
            ) from taken
        unclean = bool(_written(file))
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        try:
            yield _UNCLEAN_PATIENCE if unclean else 0.0
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)


def holder(data: Path) -> int | None:
    """The process that holds the folder, or None."""
    try:
        file = os.open(data / _LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(_written(file) or 0) or None
    finally:
        os.close(file)
    return None


async def stop(data: Path, *, patience: float = 120.0) -> bool:
    """
    Stop the process that holds the folder, and return when everything has ended; False if there is none.

    Raises:
        CannotStart: the process is another user's, or takes too long.
    """
    process = holder(data)
    if process is None:
        return False
    try:
        os.kill(process, signal.SIGTERM)
    except PermissionError:
        raise CannotStart(f"'refinery up' on {data} (process {process}) is another user's.") from None
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + patience
    while holder(data) == process:
        if time.monotonic() > deadline:
            raise CannotStart(f"'refinery up' on {data} (process {process}) still runs; see its log.")
        await asyncio.sleep(0.1)
    return True


def _written(file: int) -> str:
    return os.pread(file, 32, 0).decode()
