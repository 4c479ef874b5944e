"""What the latest versions were when somebody last looked: a guess that the commit checks."""

from __future__ import annotations

from collections import OrderedDict

Line = tuple[str, str]
"""A branch and an id."""


class Heads:
    """The latest ref of a line, as far as is known. It may be stale: refine() refuses a pin that is."""

    def __init__(self, limit: int = 50_000) -> None:
        self._refs: OrderedDict[Line, str] = OrderedDict()
        self._limit = limit

    def get(self, line: Line) -> str | None:
        """The latest ref, if it is known."""
        return self._refs.get(line)

    def put(self, line: Line, ref: str) -> None:
        """Note what was seen or committed."""
        self._refs[line] = ref
        self._refs.move_to_end(line)
        if len(self._refs) > self._limit:
            self._refs.popitem(last=False)

    def follow(self, line: Line, ref: str) -> None:
        """Note a commit on a line that somebody asked for before; others are not worth a place."""
        if line in self._refs:
            self._refs[line] = ref

    def forget(self, line: Line) -> None:
        """Drop what turned out to be stale."""
        self._refs.pop(line, None)
