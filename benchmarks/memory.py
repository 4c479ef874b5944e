"""The most memory that a process has had, where the system says it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


def peak(pid: int) -> float:
    """In MiB; 0 where the system does not say, or the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*([0-9]+) kB", status)
    return int(found[1]) / 1024 if found else 0


def forget_peak(pid: int) -> None:
    """Let the peak begin anew from what the process has now."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
