"""The ports of the engine: everything that it does not compute itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from process_worker.engine.calls import Call, RunProcess
from refinery_core.process.parts import Expression


class EvaluationFault(Exception):  # noqa: N818 -- the language calls its errors faults
    """An expression cannot be evaluated; trying again gives the same."""


class Killed(Exception):  # noqa: N818 -- reads as what it is
    """An evaluation was killed, or has no result yet."""


class Busy(Killed):
    """An evaluation has no result yet, because others are before it."""


class Starved(Busy):
    """An evaluation was given up, because it got too little CPU time."""


@dataclass(frozen=True)
class Request:
    """
    One call to make, once.

    `pointer` is the place in the execution, for people. `key` is a UUID, the idempotency key: all attempts of
    a step share it, and no other step has it.
    """

    pointer: str
    key: str
    call: Call | RunProcess


class Ports(Protocol):
    """The world, as an execution sees it. A replay gets the same answers."""

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """Evaluate expressions that read the same value.

        Raises:
            EvaluationFault: one of them cannot be evaluated.
        """

    async def perform(self, request: Request) -> Any:
        """Make a call, and return its output.

        Raises:
            Fault: it failed for good.
        """

    async def pause(self, milliseconds: int, pointer: str) -> None:
        """Wait; the wait outlives this worker."""

    async def breathe(self) -> None:
        """Yield: much was computed without a stop."""

    def now_us(self) -> int:
        """The time, in microseconds since the Unix epoch."""

    def random(self) -> float:
        """A random number from 0 to 1."""

    def is_full(self) -> bool:
        """Whether the execution should go on in a new run."""
