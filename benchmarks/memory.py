"""The peak memory of a process, on systems that report it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


def peak(pid: int) -> float:
    """In MiB; 0 if the system does not report it, or the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*([0-9]+) kB", status)
    return int(found[1]) / 1024 if found else 0


def forget_peak(pid: int) -> None:
    """Reset the peak to the memory in use now."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
