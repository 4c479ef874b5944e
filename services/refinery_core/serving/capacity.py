"""The work that a server takes on at once: a call beyond it is refused fast instead of queued."""

from __future__ import annotations

from collections import Counter

from refinery_core.errors import Overloaded

MAX_CALLS = 1_000
MAX_STREAMS = 1_000
MAX_CALLS_OF_ONE = 500
MAX_STREAMS_OF_ONE = 200
"""Over one connection, as the one above."""

_WORDS = {False: "calls", True: "streams"}


class Capacity:
    """
    Room for so many calls and so many streams, in all and of one connection.

    Streams are counted apart, as they stay; an idle one takes about 50 KB. A peer is named as gRPC does: a
    connection with its address and port. Those of a Unix socket all have one name, and calls may have
    none: these share the whole alone.
    """

    def __init__(
        self,
        *,
        calls: int = MAX_CALLS,
        streams: int = MAX_STREAMS,
        calls_of_one: int = MAX_CALLS_OF_ONE,
        streams_of_one: int = MAX_STREAMS_OF_ONE,
    ) -> None:
        self._limits = {False: calls, True: streams}
        self._limits_of_one = {False: calls_of_one, True: streams_of_one}
        self._running = {False: 0, True: 0}
        self._running_of = Counter[tuple[str, bool]]()

    def take(self, *, streaming: bool, peer: str = "") -> None:
        """
        Take the room of one call.

        Raises:
            Overloaded: there is none, and which bound says so.
        """
        one = peer, streaming
        if self._running[streaming] >= self._limits[streaming]:
            raise Overloaded(bound=f"{self._limits[streaming]} {_WORDS[streaming]} at once")
        if self._running_of[one] >= self._limits_of_one[streaming] and not _is_shared(peer):
            bound = f"{self._limits_of_one[streaming]} {_WORDS[streaming]} at once over one connection"
            raise Overloaded(bound=bound)
        self._running[streaming] += 1
        self._running_of[one] += 1

    def give_back(self, *, streaming: bool, peer: str = "") -> None:
        """Give back the room of one call."""
        one = peer, streaming
        self._running[streaming] -= 1
        self._running_of[one] -= 1
        if not self._running_of[one]:
            del self._running_of[one]


def _is_shared(peer: str) -> bool:
    return not peer or peer.startswith("unix:")
