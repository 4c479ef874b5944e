"""`refinery up --detach`: the same in the background, with its log in its folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, Final

from refinery_core.settings import CannotStart

LOG: Final = "up.log"


async def detached(data: Path, **options: str | int | bool) -> int:
    """
    Run `up` in a session of its own, and return when everything answers. The options are those of `up`.

    Prints the output of `up`, the path of its log, and the command that stops it.

    Returns:
        0; or, if `up` did not start, its exit code, after its messages.
    """
    with _opened(data) as log:
        begin = log.tell()
        process = subprocess.Popen(  # noqa: ASYNC220, S603 -- it takes a millisecond; our own program
            [sys.executable, "-m", "refinery_cli", "up", "--data", str(data), *_tokens(options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as told:
        try:
            endpoints = await asyncio.to_thread(told.read)
        except asyncio.CancelledError:
            process.terminate()
            raise
    if not endpoints:
        sys.stderr.write((data / LOG).read_bytes()[begin:].decode(errors="replace"))
        return await asyncio.to_thread(process.wait) or 1
    sys.stdout.write(f"{endpoints}{'log':<10}{data / LOG}\n{'stop':<10}refinery down --data {data}\n")
    return 0


def _opened(data: Path) -> BinaryIO:
    try:
        data.mkdir(parents=True, exist_ok=True)
        log = os.open(data / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.fchmod(log, 0o600)
    except OSError as fault:
        raise CannotStart(f"Cannot use the folder {data}: {fault.strerror}.") from fault
    return os.fdopen(log, "ab")


def _tokens(options: dict[str, str | int | bool]) -> list[str]:
    tokens: list[str] = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            tokens.append(f"--{option}" if value else f"--no-{option}")
        else:
            tokens += [f"--{option}", str(value)]
    return tokens
