"""Issuers of tokens that are trusted, and their keys, followed in the background."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

import structlog
from prometheus_client import Gauge

from refinery_core.serving.authentication.keys import BadKeys, Ring, read_keys
from refinery_core.serving.authentication.sources import Source

_FIRST_PAUSE_SECONDS: Final = 1.0
WAKE_SECONDS: Final = 10.0
"""The least time between two looks that tokens with an unknown key asked for."""
START_SECONDS: Final = 10.0
"""For which a start waits for the keys."""

_GOOD: Final = Gauge(
    "refinery_jwks_good",
    "Whether the keys of an issuer could be read when they were last looked at.",
    ["issuer"],
)
_KEYS_TIME: Final = Gauge(
    "refinery_jwks_changed_time_seconds", "When other keys of an issuer were taken, in Unix time.", ["issuer"]
)

_log = structlog.get_logger("refinery.authentication")


@dataclass
class Issuer:
    """One issuer: its name, as tokens say it; where its keys are; those that are known."""

    name: str
    source: Source
    ring: Ring
    _wanted: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    problem: str | None = field(default=None, init=False)
    """The reason why its keys are not good, while they are not."""
    _looked: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def want(self) -> None:
        """Look for other keys soon, because a token names one that is not known."""
        self._wanted.set()

    async def look(self) -> bool:
        """Take the keys that are there now; where they are not good, the last good ones stay. Say which."""
        try:
            raw = await self.source.read()
            changed = raw is not None and self.ring.replace(read_keys(raw))
        except BadKeys as bad:
            self._tell(str(bad))
            return False
        except Exception as unforeseen:  # noqa: BLE001 -- whatever it is, keys have to be looked for again
            self._tell(f"they cannot be read: {type(unforeseen).__name__}")
            return False
        if raw is None and self.problem is not None:
            return False  # The file is still the bad one.
        if changed:
            _log.info("keys of an issuer were taken", issuer=self.name, source=self.source.where)
            _KEYS_TIME.labels(self.name).set_to_current_time()
        if self.problem is not None:
            _log.info("keys of an issuer are good again", issuer=self.name, source=self.source.where)
        self.problem = None
        _GOOD.labels(self.name).set(1)
        return True

    def _tell(self, problem: str) -> None:
        """Log it once, and turn the metric."""
        _GOOD.labels(self.name).set(0)
        if problem != self.problem:
            _log.error(
                "keys of an issuer are not good; the last good ones stay",
                issuer=self.name,
                source=self.source.where,
                problem=problem,
            )
        self.problem = problem

    async def follow(self) -> None:
        """Look again and again: when it is time, when a token asks for it, and after a failure soon."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            good = await self.look()
            self._looked.set()
            every = self.source.every_seconds
            pause = _FIRST_PAUSE_SECONDS if good else min(2 * pause, every)
            longest = every if good else min(pause, every)
            self._wanted.clear()
            at_least = min(WAKE_SECONDS, longest)
            await asyncio.sleep(at_least)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest - at_least):
                    await self._wanted.wait()

    async def looked(self) -> None:
        """Wait until the keys were looked for once, but no longer than a start may take."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self._looked.wait()
