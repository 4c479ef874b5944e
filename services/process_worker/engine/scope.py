"""The variables of expressions, and the evaluation of expressions, templates and durations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from process_worker.engine.bounds import measure
from process_worker.engine.faults import standard
from process_worker.engine.ports import EvaluationFault, Ports
from refinery_core.process.durations import DurationFault, read_duration
from refinery_core.process.parts import Duration, Expression, Template

_ABSENT: Final = object()
_IS_PATH = re.compile(r"(?:\$([A-Za-z_][A-Za-z0-9_]*))?((?:\.[A-Za-z_][A-Za-z0-9_]*)*|\.)").fullmatch
_BREATH: Final = 500
"""Evaluations after which the engine yields, so that it never computes for long without a stop."""
_STEPS: Final = 1_000
"""Tasks after which it yields, too."""
_LIGHT: Final = 4_096
"""Characters of data that count as one evaluation."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables at one place. `task` lacks input and output until they are there."""

    names: Mapping[str, Any] = field(default_factory=dict)
    """The variables of loops and catches."""
    task: Mapping[str, Any] = field(default_factory=dict)
    input: Any = _ABSENT
    output: Any = _ABSENT

    def adding(self, **names: Any) -> Scope:
        """The scope inside a task that names variables."""
        return replace(self, names={**self.names, **names})

    def with_input(self, value: Any) -> Scope:
        """The scope once the task's input is there."""
        return replace(self, input=value)

    def with_output(self, raw: Any, value: Any = _ABSENT) -> Scope:
        """The scope once the task's output is there, before or after it is transformed."""
        return replace(self, task={**self.task, "output": raw}, output=value)


def describe_time(time_us: int) -> dict[str, Any]:
    """A time as expressions see it."""
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{time_us % 1_000_000 // 1_000:03d}Z"
    return {"iso8601": text, "epoch": {"seconds": time_us // 1_000_000, "milliseconds": time_us // 1_000}}


class Calculator:
    """Evaluates expressions; `shared` has the variables that are the same everywhere in an execution."""

    def __init__(self, ports: Ports, shared: Mapping[str, Callable[[], Any]]) -> None:
        self._ports = ports
        self._shared = shared
        self._breath = 0
        self._steps = 0

    async def step(self) -> None:
        """Count a task: a loop of tasks that evaluate nothing has to yield, too."""
        self._steps += 1
        await self._breathe(0)

    async def look(self, value: Any, at: str) -> None:
        """Count the work of going through data; `at` is the task to blame.

        Raises:
            Fault: it is too large.
        """
        await self._breathe(measure(value, at) // _LIGHT)

    async def _breathe(self, work: int) -> None:
        """Yield now and then."""
        self._breath += work
        if self._breath >= _BREATH or self._steps >= _STEPS:
            self._breath = self._steps = 0
            await self._ports.breathe()

    async def all(self, expressions: list[Expression], value: Any, scope: Scope, at: str) -> list[Any]:
        """Evaluate expressions on the same value; `at` is the task to blame."""
        await self._breathe(1)
        wanted = frozenset().union(*(expression.variables for expression in expressions))
        variables = {name: self._variable(name, scope) for name in sorted(wanted)}
        # A plain path needs no jq, and keeps every digit of a number.
        found = [_walk(expression.source, value, variables) for expression in expressions]
        rest = [place for place, result in enumerate(found) if result is _ABSENT]
        if rest:
            try:
                results = await self._ports.evaluate([expressions[place] for place in rest], value, variables)
            except EvaluationFault as fault:
                raise standard("expression", str(fault), at) from None
            for place, result in zip(rest, results, strict=True):
                found[place] = result
        return found

    async def one(self, expression: Expression, value: Any, scope: Scope, at: str) -> Any:
        """Evaluate an expression."""
        return (await self.all([expression], value, scope, at))[0]

    async def holds(self, expression: Expression | None, value: Any, scope: Scope, at: str) -> bool:
        """Whether a condition gives anything but false and null, as in jq; True without a condition."""
        if expression is None:
            return True
        result = await self.one(expression, value, scope, at)
        return result is not None and result is not False

    async def fill(self, template: Template | None, value: Any, scope: Scope, at: str) -> Any:
        """Fill a template; without one, the value stays as it is."""
        if template is None:
            return value
        if template.constant:
            return template.value
        holes: list[Expression] = []
        _collect(template.value, holes)
        filled = _filled(template.value, iter(await self.all(holes, value, scope, at)))
        if holes[0] is not template.value:
            # Each result is small enough; the filled template may not be.
            await self.look(filled, at)
        return filled

    async def text(self, text: str | Expression | None, value: Any, scope: Scope, at: str) -> str:
        """A text, evaluated if it is an expression; "" without one."""
        if not isinstance(text, Expression):
            return text or ""
        result = await self.one(text, value, scope, at)
        if not isinstance(result, str):
            raise standard("expression", f"${{ {text.source} }} needs to give a string", at)
        return result

    async def milliseconds(self, duration: Duration, value: Any, scope: Scope, at: str) -> int:
        """A duration, evaluated if it is an expression."""
        if isinstance(duration.value, int):
            return duration.value
        written = await self.one(duration.value, value, scope, at)
        try:
            if isinstance(written, str | dict):
                return read_duration(written)
        except DurationFault as fault:
            raise standard("expression", f"${{ {duration.value.source} }}: {fault}", at) from None
        raise standard("expression", f"${{ {duration.value.source} }} gives no duration", at)

    def known(self, names: frozenset[str], scope: Scope) -> dict[str, Any]:
        """The variables of these names, without secrets, which the engine never sees."""
        return {name: self._variable(name, scope) for name in sorted(names - {"secrets"})}

    def _variable(self, name: str, scope: Scope) -> Any:
        if name in scope.names:
            return scope.names[name]
        if name == "task":
            return dict(scope.task)
        if name in {"input", "output"}:
            value = scope.input if name == "input" else scope.output
            return None if value is _ABSENT else value
        if name == "authorization":
            return None
        if name not in self._shared:
            raise standard("expression", f"${name} means nothing here")
        return self._shared[name]()


def _walk(source: str, value: Any, variables: Mapping[str, Any]) -> Any:
    """Follow a plain path, as jq would; _ABSENT where the expression is more than that."""
    match = _IS_PATH(source)
    if match is None:
        return _ABSENT
    name, path = match.groups()
    if name is not None:
        if name not in variables or path == ".":
            return _ABSENT
        value = variables[name]
    elif not path:
        return _ABSENT
    for key in path.split(".")[1:] if path != "." else ():
        if isinstance(value, dict):
            value = value.get(key)
        elif value is not None:
            return _ABSENT
    return value


def _collect(value: Any, holes: list[Expression]) -> None:
    if isinstance(value, Expression):
        holes.append(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, holes)


def _filled(value: Any, results: Any) -> Any:
    if isinstance(value, Expression):
        return next(results)
    if isinstance(value, dict):
        return {key: _filled(item, results) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, results) for item in value]
    return value
