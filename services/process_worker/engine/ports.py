"""What the engine asks of the world: everything else that it does is computing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from process_worker.engine.calls import Call, RunProcess
from refinery_core.process.parts import Expression


class EvaluationFault(Exception):  # noqa: N818 -- what is wrong with an expression, as a sentence
    """An expression that cannot be evaluated, however often it is tried."""


class Killed(Exception):  # noqa: N818 -- what became of the evaluation
    """An evaluation was killed, or has no answer yet: no answer now, and maybe never one."""


class Busy(Killed):
    """An evaluation has no answer yet, and is innocent of that."""


class Starved(Busy):
    """An evaluation was given up, because the machine had no time for it."""


@dataclass(frozen=True)
class Request:
    """
    One thing to be done outside, once.

    `pointer` says where in the execution it stands, for people. `key` is a UUID that is the same however
    often the same step of the same execution is tried, and never the same for another step.
    """

    pointer: str
    key: str
    call: Call | RunProcess


class Ports(Protocol):
    """The world, as an execution sees it. All of it is repeatable: a replay gets the same answers."""

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """Evaluate expressions that read the same value.

        Raises:
            EvaluationFault: one of them cannot be evaluated.
        """

    async def perform(self, request: Request) -> Any:
        """Call, emit, or run a process, and give what came of it.

        Raises:
            Fault: it failed for good.
        """

    async def pause(self, milliseconds: int, pointer: str) -> None:
        """Let time pass; also through the end of this process and the start of another."""

    async def breathe(self) -> None:
        """Let others have their turn: much was computed at one go."""

    def now_us(self) -> int:
        """The time, in microseconds since the Unix epoch."""

    def random(self) -> float:
        """A number from 0 to 1."""

    def is_full(self) -> bool:
        """Whether the execution should be taken down and set up again before it goes on."""
