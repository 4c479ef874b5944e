"""Answers that can never become wrong, kept up to so many bytes; the least recently asked for goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Answers(Generic[T]):
    """What was answered, by question."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, question: Hashable) -> T | None:
        """The answer, if it is at hand."""
        entry = self._kept.get(question)
        if entry is None:
            return None
        self._kept.move_to_end(question)
        return entry[0]

    def keep(self, question: Hashable, answer: T, size: int) -> None:
        """Keep an answer that takes so many bytes."""
        if question in self._kept:
            return
        self._kept[question] = answer, size
        self._room -= size
        while self._room < 0:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._room += dropped
