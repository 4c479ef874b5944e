"""Starts a program that cannot outlive its parent process, even if the parent is SIGKILLed.

`command()` wraps an argument list; this file, run as a script, is the wrapper. On Linux it becomes
the program after asking the kernel for a signal at the parent's death; elsewhere it stays and
watches its standard input, a pipe whose other end the parent holds and never writes to. It also
gives up root for the program, so that neither Python nor this file need be readable to that user.
Only the standard library is imported: it runs with `python -I -S`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1


def command(
    program: list[str], *, at_parent_death: signal.Signals, account: tuple[int, int] | None = None
) -> list[str]:
    """
    Wrap a program: it gets the signal when this process dies, and runs as account (uid, gid) if given.

    Start it from the main thread (on Linux "the parent" is the thread) with stdin=PIPE, and keep the pipe.
    """
    uid, gid = account or (-1, -1)
    leash = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*leash, str(os.getpid()), str(int(at_parent_death)), str(uid), str(gid), *program]


def _main(arguments: list[str]) -> int:
    parent, number, uid, gid = (int(argument) for argument in arguments[:4])
    program = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears it; it survives the exec.
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            return 1  # It died before we could ask.
        os.execvp(program[0], program)  # noqa: S606 -- no shell is the point
    return _watch(program, number)


def _watch(program: list[str], number: int) -> int:
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL)  # noqa: S603 -- the caller's own program

    def forward(received: int, _: FrameType | None) -> None:
        child.send_signal(received)

    def wait_for_parent() -> None:
        while os.read(0, 1):
            pass
        child.send_signal(number)

    for received in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(received, forward)
    threading.Thread(target=wait_for_parent, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
