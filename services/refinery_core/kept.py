"""The one cache: values by key, up to so many bytes or entries; the least recently used goes first."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values that never become wrong, or that are checked before they count. Threads may share it."""

    def __init__(self, most_bytes: float = math.inf, *, most: float = math.inf) -> None:
        """Keep so many bytes, as the callers of `keep` count them, and so many values."""
        self._most_bytes = most_bytes
        self._most = most
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        """The bytes of the kept values."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, if it is kept."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def keep(self, key: K, value: V, size: int = 0) -> None:
        """Keep a value of so many bytes in place of the one before, unless it alone is more than fits."""
        with self._lock:
            self._drop(key)
            if size > self._most_bytes:
                return
            self._entries[key] = value, size
            self.bytes += size
            while self.bytes > self._most_bytes or len(self._entries) > self._most:
                self._drop(next(iter(self._entries)))

    def forget(self, key: K) -> None:
        """Drop a value, if it is kept."""
        with self._lock:
            self._drop(key)

    def latest(self, count: int) -> list[tuple[K, V]]:
        """The values that were used last, with their keys, so many at the most."""
        with self._lock:
            return [(key, entry[0]) for key, entry in islice(reversed(self._entries.items()), count)]

    def _drop(self, key: K) -> None:
        _, size = self._entries.pop(key, (None, 0))
        self.bytes -= size
