"""The task `listen`: waits for events, and turns them into its output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from process_worker.engine.bounds import MAX_SIZE, measure
from process_worker.engine.faults import Fault, standard
from process_worker.engine.run import Run
from process_worker.engine.site import Site
from process_worker.engine.state import Event, Strand
from refinery_core.process.events import OF_PATTERNS
from refinery_core.process.model import EachEvent, Listen, Read
from refinery_core.process.parts import Consumption, EventFilter, Expression, Template, Wanted
from refinery_core.vibe.refs import SCHEME, AugUri, Ref, RefFault


async def carry_out(run: Run, task: Listen, x: Any, site: Site) -> list[Any]:
    """Wait for events; the output is a list with an item for each, in order."""
    run.state.trace.listening[site.shown] = task.definition["listen"]["to"]
    listener = _Listener(run, task, x, site)
    try:
        if task.to.wanted is Wanted.ALL:
            return await listener.all(task.to)
        return await listener.any(task.to)
    finally:
        del run.state.trace.listening[site.shown]


class _Listener:
    """One `listen` task under way."""

    def __init__(self, run: Run, task: Listen, x: Any, site: Site) -> None:
        self._run, self._task, self._x, self._site = run, task, x, site
        self._read: list[Any] = []
        self._size = 0
        self._correlated: dict[str, Any] = {}

    async def any(self, to: Consumption) -> list[Any]:
        """
        Take one event that any filter matches. With `until`, take events until the expression holds, or until
        the events that end it have come: these are matched first, and are not part of the output.
        """
        until = to.until if isinstance(to.until, Consumption) else None
        ending = [] if until is None else list(until.filters)
        while True:
            event = await self._take(to.filters) if until is None else await self._take(ending, to.filters)
            ends = None if until is None else await self._place(ending, event)
            if until is not None and ends is not None:
                self._remember(event)
                del ending[ends : ends + 1]
                if until.wanted is not Wanted.ALL or not ending:
                    return self._read
                continue
            await self._consume(event)
            if to.until is None or (isinstance(to.until, Expression) and await self._holds(to.until)):
                return self._read

    async def all(self, to: Consumption) -> list[Any]:
        """Take one event for each filter."""
        open_ = list(to.filters)
        while open_:
            event = await self._take(open_)
            place = await self._place(open_, event)
            assert place is not None
            del open_[place]
            await self._consume(event)
        return self._read

    async def _holds(self, until: Expression) -> bool:
        return await self._run.calculator.holds(until, self._read, self._site.scope, self._task.pointer)

    async def _take(self, *groups: Sequence[EventFilter]) -> Event:
        async def matches(event: Event) -> bool:
            for filters in groups:
                if await self._place(filters, event) is not None:
                    return True
            return False

        return await self._run.state.mailbox.take(matches)

    async def _place(self, filters: Sequence[EventFilter], event: Event) -> int | None:
        """The index of the first filter that matches an event; 0 where there are no filters."""
        if not filters:
            return 0
        for place, filter_ in enumerate(filters):
            if await self._matches(filter_, event):
                return place
        return None

    def _remember(self, event: Event) -> None:
        if event.get("event_ref"):
            self._run.state.consume(event["event_ref"])

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
        output = await run.shape("output", each.output, raw, scope.with_output(raw), at)
        await run.export(each.export, output, scope.with_output(raw, output), at)
        return output

    # --- Matching -------------------------------------------------------------------------

    async def _matches(self, filter_: EventFilter, event: Event) -> bool:
        # `data` last: the expression for it may only fit events of the right type.
        for name, template in sorted(filter_.attributes.items(), key=lambda each: each[0] == "data"):
            if not await self._fits(name, template, event.get(name)):
                return False
        return await self._correlates(filter_, event)

    async def _fits(self, name: str, wanted: Template, actual: Any) -> bool:
        run, at, scope = self._run, self._task.pointer, self._site.scope
        if name == "data" and isinstance(wanted.value, Expression):
            try:
                expected = await run.calculator.one(wanted.value, actual, scope, at)
            except Fault:
                return (
                    False  # Events may have any data: where the expression fails, the event does not match.
                )
        else:
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
        """Whether this is another revision of the Vibe, on its branch or on the execution's."""
        wanted = Ref.parse(meant)
        try:
            found = Ref.parse(actual)
        except (RefFault, TypeError):
            return False
        return found.id == wanted.id and found.branch in {wanted.branch, self._run.setting.branch}

    async def _is_like(self, wanted: Template, expected: Any, actual: Any) -> bool:
        """Whether a text matches a regular expression. jq evaluates it, in a child that may be killed."""
        if not wanted.constant or not isinstance(expected, str) or not isinstance(actual, str):
            return False
        if OF_PATTERNS.isdisjoint(expected):
            return False
        test = Expression(f"test({json.dumps(f'^(?:{expected})$')})")
        try:
            return await self._run.calculator.holds(test, actual, self._site.scope, self._task.pointer)
        except Fault:
            return False  # It is no regular expression after all.

    async def _correlates(self, filter_: EventFilter, event: Event) -> bool:
        run, at, scope = self._run, self._task.pointer, self._site.scope
        found: dict[str, Any] = {}
        for name, correlation in filter_.correlate.items():
            try:
                value = await run.calculator.one(correlation.source, event, scope, at)
            except Fault:
                return False
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
