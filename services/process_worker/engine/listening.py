"""Waits for events, and makes of them what the process reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from process_worker.engine.bounds import MAX_SIZE, measure
from process_worker.engine.faults import standard
from process_worker.engine.state import Event, Strand
from process_worker.engine.together import Together
from refinery_core.process.model import EachEvent, Listen, Read
from refinery_core.process.parts import Consumption, EventFilter, Expression, Template, Wanted
from refinery_core.vibe.refs import SCHEME, AugUri, Ref, RefFault

if TYPE_CHECKING:
    from process_worker.engine.interpreter import Interpreter
    from process_worker.engine.site import Site

_LOOKS_LIKE_A_PATTERN = frozenset("\\^$*+?()[]{}|")


async def carry_out(run: Interpreter, task: Listen, x: Any, site: Site) -> list[Any]:
    """Wait; the output is what was read of each event, in order."""
    run.state.trace.listening[site.shown] = task.definition["listen"]["to"]
    listener = _Listener(run, task, x, site)
    try:
        if isinstance(task.to.until, Consumption):
            return await listener.until_events(task.to, task.to.until)
        if task.to.wanted is Wanted.ALL:
            return await listener.all(task.to)
        return await listener.any(task.to)
    finally:
        del run.state.trace.listening[site.shown]


class _Listener:
    """One listen task under way."""

    def __init__(self, run: Interpreter, task: Listen, x: Any, site: Site) -> None:
        self._run, self._task, self._x, self._site = run, task, x, site
        self._read: list[Any] = []
        self._size = 0
        self._correlated: dict[str, Any] = {}

    async def any(self, to: Consumption) -> list[Any]:
        """One event that any filter takes; with `until`, as many as it takes for that to hold."""
        while True:
            await self._consume(await self._take(to.filters))
            if to.until is None:
                return self._read
            assert isinstance(to.until, Expression)
            scope, at = self._site.scope, self._task.pointer
            if await self._run.calculator.holds(to.until, self._read, scope, at):
                return self._read

    async def all(self, to: Consumption) -> list[Any]:
        """One event for each filter."""
        open_ = list(to.filters)
        while open_:
            event = await self._take(open_)
            for filter_ in open_:
                if await self._matches(filter_, event):
                    open_.remove(filter_)
                    break
            await self._consume(event)
        return self._read

    async def until_events(self, to: Consumption, until: Consumption) -> list[Any]:
        """Every event that any filter takes, until the other events have come."""
        async with Together((self._endless(to), self._drop(until))) as both:
            both.result(await both.next())
        return self._read

    async def _endless(self, to: Consumption) -> None:
        while True:
            await self._consume(await self._take(to.filters))

    async def _drop(self, until: Consumption) -> None:
        open_ = list(until.filters)
        while True:
            event = await self._take(open_)
            self._remember(event)
            if until.wanted is not Wanted.ALL:
                return
            for filter_ in open_:
                if await self._matches(filter_, event):
                    open_.remove(filter_)
                    break
            if not open_:
                return

    async def _take(self, filters: Any) -> Event:
        async def matches(event: Event) -> bool:
            if not filters:
                return True
            for filter_ in filters:
                if await self._matches(filter_, event):
                    return True
            return False

        return await self._run.state.mailbox.take(matches)

    def _remember(self, event: Event) -> None:
        if event.get("event_ref"):
            self._run.state.consumed.append(event["event_ref"])

    async def _consume(self, event: Event) -> None:
        self._remember(event)
        item = event if self._task.read is Read.ENVELOPE else event.get("data")
        if self._task.each is not None:
            item = await self._each(self._task.each, item)
        self._size += measure(item)
        if self._size > MAX_SIZE:
            detail = f"the events have more than {MAX_SIZE} characters together"
            raise standard("runtime", detail, self._task.pointer)
        self._read.append(item)

    async def _each(self, each: EachEvent, item: Any) -> Any:
        run, at, index = self._run, self._task.pointer, len(self._read)
        scope = self._site.scope.adding(**{each.item: item, each.index: index})
        site = self._site.item(index).on(Strand()).reading(scope)
        raw = await run.sequence(each.tasks, item, site) if each.tasks else item
        output = await run.shape_output(each.output, raw, scope.with_output(raw), at)
        await run.export(each.export, output, scope.with_output(raw, output), at)
        return output

    # --- Matching -------------------------------------------------------------------------

    async def _matches(self, filter_: EventFilter, event: Event) -> bool:
        for name, template in filter_.attributes.items():
            if not await self._fits(name, template, event.get(name)):
                return False
        return await self._correlates(filter_, event)

    async def _fits(self, name: str, wanted: Template, actual: Any) -> bool:
        run, at, scope = self._run, self._task.pointer, self._site.scope
        expected = wanted.value
        if name == "data" and isinstance(expected, Expression):
            return await run.calculator.holds(expected, actual, scope, at)
        expected = await run.calculator.fill(wanted, self._x, scope, at)
        if name == "author_ref" and isinstance(expected, str) and expected.startswith(SCHEME):
            meant = run.frozen(expected, at)
            return meant == actual or (AugUri.parse(expected).floats and self._revises(meant, actual))
        if isinstance(expected, bool) and not isinstance(wanted.value, bool):
            return expected
        if isinstance(expected, dict) and isinstance(actual, dict):
            return all(key in actual and actual[key] == value for key, value in expected.items())
        return expected == actual or await self._is_like(wanted, expected, actual)

    def _revises(self, meant: str, actual: Any) -> bool:
        """Whether it is another revision of what is meant, there or on the execution's own branch."""
        wanted = Ref.parse(meant)
        try:
            found = Ref.parse(actual)
        except (RefFault, TypeError):
            return False
        return found.id == wanted.id and found.branch in {wanted.branch, self._run.setting.branch}

    async def _is_like(self, wanted: Template, expected: Any, actual: Any) -> bool:
        """Whether a text fits a regular expression; jq looks, which may be killed for it."""
        if not wanted.constant or not isinstance(expected, str) or not isinstance(actual, str):
            return False
        if _LOOKS_LIKE_A_PATTERN.isdisjoint(expected):
            return False
        test = Expression(f"test({json.dumps(f'^(?:{expected})$')})")
        return await self._run.calculator.holds(test, actual, self._site.scope, self._task.pointer)

    async def _correlates(self, filter_: EventFilter, event: Event) -> bool:
        run, at, scope = self._run, self._task.pointer, self._site.scope
        found: dict[str, Any] = {}
        for name, correlation in filter_.correlate.items():
            value = await run.calculator.one(correlation.source, event, scope, at)
            expected = correlation.expect
            if isinstance(expected, Expression):
                expected = await run.calculator.one(expected, self._x, scope, at)
            elif expected is None:
                expected = self._correlated.get(name, value)
            if value is None or value != expected:
                return False
            found[name] = value
        self._correlated.update(found)
        return True
