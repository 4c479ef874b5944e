"""Reads lists of tasks: the kind of each first, then the common members, then those of its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from refinery_core.process.errors import read_condition
from refinery_core.process.kinds import KINDS, OWNERS, Body, Lists, read_kind
from refinery_core.process.model import Task
from refinery_core.process.parts import CONTINUE, DIRECTIVES, Duration
from refinery_core.process.place import Place, unknown
from refinery_core.process.reading import MAX_TASK_DEPTH, Function, Reading, Scope, Stage
from refinery_core.process.shapes import read_shape
from refinery_core.process.suggestions import suggestion

COMMON = ("if", "input", "output", "export", "timeout", "then", "metadata")
_GUESSES = 20
_WAYS = ", ".join(DIRECTIVES)


@dataclass(frozen=True, slots=True)
class Targets:
    """The tasks that `then` may name, and the refusal where there are none."""

    names: Collection[str]
    none: str = ""

    def read(self, place: Place) -> str:
        """Read a `then`."""
        name = place.constant("'then'")
        if name in DIRECTIVES or name in self.names:
            return name
        if self.none:
            place.refuse(f"'then' needs to be {_WAYS}: {self.none}")
        known = (*self.names, *DIRECTIVES)
        return place.refuse(unknown("'then' leads only to a task of the same list: there is no", name, known))


_BRANCH = Targets((), "a branch of a fork has no task beside it")
_FUNCTION = Targets((), "a function has no task beside it")


def read_tasks(place: Place, what: str, reading: Reading, scope: Scope) -> tuple[Task, ...]:
    """Read a list of sequential tasks."""
    named = _named(place, what)
    targets = Targets([name for name, _ in named])
    return tuple(read_task(name, task, reading, scope, targets) for name, task in named)


def read_branches(place: Place, reading: Reading, scope: Scope) -> tuple[Task, ...]:
    """Read a list of concurrent tasks."""
    named = _named(place, "'branches'")
    return tuple(read_task(name, task, reading, scope, _BRANCH) for name, task in named)


def _named(place: Place, what: str) -> list[tuple[str, Place]]:
    named = [item.item("an item of a list of tasks") for item in place.items(what)]
    seen: set[str] = set()
    for name, task in named:
        if not name:
            task.refuse("a task needs a name")
        if name in DIRECTIVES:
            task.refuse(f"a task cannot be named '{name}': 'then: {name}' means something else")
        if name in seen:
            task.refuse("two tasks of one list have this name")
        seen.add(name)
    return named


def read_function(name: str, caller: Place, reading: Reading, scope: Scope) -> Task:
    """Read a function of `use.functions`, unless that was done already."""
    if name in reading.opened:
        circle = " → ".join([*reading.opened[reading.opened.index(name) :], name])
        caller.refuse(f"functions call each other in a circle: {circle}")
    if name not in reading.functions:
        outer, reading.deepest = reading.deepest, scope.depth
        reading.opened.append(name)
        inside = Scope(without=scope.without, depth=scope.depth)
        task = read_task(name, reading.shared.functions[name], reading, inside, _FUNCTION)
        reading.opened.pop()
        reading.functions[name] = Function(task, reading.deepest - scope.depth)
        reading.deepest = outer
    function = reading.functions[name]
    reading.deepest = max(reading.deepest, scope.depth + function.height)
    if scope.depth + function.height > MAX_TASK_DEPTH:
        caller.refuse(f"tasks are nested more than {MAX_TASK_DEPTH} deep")
    return function.task


def read_task(name: str, place: Place, reading: Reading, scope: Scope, targets: Targets) -> Task:
    """Read one task."""
    reading.count_task(place, scope.depth)
    kind = _kind(place)
    article = "an" if kind == "emit" else "a"
    members = place.members(f"{article} {kind} task", (*KINDS[kind], *COMMON), KINDS[kind][:1])
    common = _read_common(members, reading, scope, targets)
    common.update(name=name, pointer=place.path, definition=place.value)
    if "metadata" in members:
        members["metadata"].pairs("'metadata'")
    lists = Lists(read_tasks, read_branches, read_function, targets.read)
    return read_kind(kind, Body(place, members, common, lists), reading, scope)


def _kind(place: Place) -> str:
    members = place.pairs("a task")
    found = [kind for kind in KINDS if kind in members]
    if "for" in found and "do" in found:
        found.remove("do")
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        place.refuse(f"a task is one thing: it cannot be both '{found[0]}' and '{found[1]}'")
    for key in list(members)[:_GUESSES]:
        if key in OWNERS:
            place.at(key).refuse(f"'{key}' belongs to '{OWNERS[key]}', which this task does not have")
        if key not in COMMON and (near := suggestion(key, KINDS)) is not None:
            place.at(key).refuse(f"there is no task '{key}'; perhaps you mean '{near}'")
    return place.refuse(f"a task needs one of {', '.join(KINDS)}")


def _read_common(
    members: Mapping[str, Place], reading: Reading, scope: Scope, targets: Targets
) -> dict[str, Any]:
    get = members.get
    return {
        "condition": read_condition(get("if"), "'if'", reading, scope, Stage.ENTRY),
        "input": read_shape(get("input"), "input", reading, scope, Stage.ENTRY),
        "output": read_shape(get("output"), "output", reading, scope, Stage.INSIDE),
        "export": read_shape(get("export"), "export", reading, scope, Stage.EXPORT),
        "timeout": read_timeout(get("timeout"), reading, scope, Stage.INSIDE),
        "then": CONTINUE if "then" not in members else targets.read(members["then"]),
    }


def read_timeout(place: Place | None, reading: Reading, scope: Scope, stage: Stage) -> Duration | None:
    """Read a timeout: by the name of one in `use`, or written out."""
    if place is None:
        return None
    if isinstance(place.value, str):
        known = reading.shared.timeouts
        return known[place.named("timeout", known, "use.timeouts")]
    after = place.members("'timeout'", ("after",), ("after",))["after"]
    return reading.duration(after, "'after'", scope, stage)
