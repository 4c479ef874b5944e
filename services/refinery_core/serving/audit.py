"""The audit trail of calls refused for want of a right: a line in the log, a metric, a count."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter as Metric

from refinery_core.errors import PermissionDenied

MOST_A_MINUTE: Final = 1_000
"""Different denials of one minute that are told apart; all others are counted as one."""

_DENIED: Final = Metric(
    "refinery_denials_total", "Calls refused for want of a right, by what it was for.", ["verb"]
)

_log = structlog.get_logger("refinery.audit")


@dataclass(frozen=True, slots=True)
class Denial:
    """One kind of refused call. `minute` is in seconds since 1970."""

    minute: int
    principal: str
    method: str
    verb: str
    id: str
    branch: str
    role: str
    problem: str


class Denials:
    """Counts the denials of this process until somebody writes them down."""

    def __init__(self) -> None:
        self._counts: Counter[Denial] = Counter()
        self._minute = 0
        self._different = 0

    def note(self, refusal: PermissionDenied, method: str) -> None:
        """Log a denial, and count it."""
        told = refusal.metadata
        _log.warning("denied", method=method, **told)
        _DENIED.labels(told["verb"]).inc()
        denial = Denial(int(time.time()) // 60 * 60, method=method, **told)
        if denial.minute != self._minute:
            self._minute, self._different = denial.minute, 0
        if denial not in self._counts:
            if self._different >= MOST_A_MINUTE:
                denial = Denial(denial.minute, "", "", "", "", "", "", "others of this minute")
            self._different += 1
        self._counts[denial] += 1

    def take(self, *, before: float) -> list[tuple[Denial, int]]:
        """Take out those of the minutes that were over before a time, each with how often."""
        over = [denial for denial in self._counts if denial.minute + 60 <= before]
        return [(denial, self._counts.pop(denial)) for denial in over]

    def give_back(self, taken: list[tuple[Denial, int]]) -> None:
        """Put back what could not be written down."""
        self._counts.update(dict(taken))


DENIALS: Final = Denials()
"""Those of this process."""
