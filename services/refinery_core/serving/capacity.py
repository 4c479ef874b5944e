"""How much a server takes on at once: what is beyond is refused fast instead of queued."""

from __future__ import annotations

from refinery_core.errors import Overloaded


class Capacity:
    """Room for so many calls and so many streams; streams are counted apart, as they stay."""

    def __init__(self, *, calls: int = 1_000, streams: int = 1_000) -> None:
        self._limits = {False: calls, True: streams}
        self._running = {False: 0, True: 0}

    def take(self, *, streaming: bool) -> None:
        """
        Take the room of one call.

        Raises:
            Overloaded: there is none.
        """
        if self._running[streaming] >= self._limits[streaming]:
            raise Overloaded
        self._running[streaming] += 1

    def give_back(self, *, streaming: bool) -> None:
        """Give back the room of one call."""
        self._running[streaming] -= 1
