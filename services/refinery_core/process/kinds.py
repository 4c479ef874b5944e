"""Reads the members of each of the twelve kinds of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refinery_core.process.calls import read_arguments, read_call
from refinery_core.process.errors import read_condition, read_filter, read_problem, read_retry
from refinery_core.process.events import read_attributes, read_consumption
from refinery_core.process.model import (
    Call,
    Case,
    Do,
    EachEvent,
    Emit,
    For,
    Fork,
    FunctionCall,
    Listen,
    Raise,
    Read,
    Run,
    Set,
    Switch,
    Task,
    Try,
    Wait,
)
from refinery_core.process.parts import Catch, Expression, ReferenceUse, RetryPolicy
from refinery_core.process.place import Place
from refinery_core.process.reading import RESERVED, Reading, Scope, Stage, wrapped
from refinery_core.process.shapes import read_shape

KINDS: dict[str, tuple[str, ...]] = {
    "do": ("do",),
    "set": ("set",),
    "switch": ("switch",),
    "for": ("for", "do", "while"),
    "fork": ("fork",),
    "try": ("try", "catch"),
    "raise": ("raise",),
    "wait": ("wait",),
    "listen": ("listen", "foreach"),
    "emit": ("emit",),
    "call": ("call", "with"),
    "run": ("run",),
}
"""The kinds, with their own members."""

OWNERS = {"while": "for", "catch": "try", "foreach": "listen", "with": "call"}
"""Members that belong to one kind only."""

_FOREIGN = ("shell", "script", "container")
_READS = tuple(read.value for read in Read)


@dataclass(frozen=True, slots=True)
class Lists:
    """The readers of lists of tasks and of `then`, which `tasks` provides."""

    tasks: Callable[[Place, str, Reading, Scope], tuple[Task, ...]]
    branches: Callable[[Place, Reading, Scope], tuple[Task, ...]]
    function: Callable[[str, Place, Reading, Scope], Task]
    target: Callable[[Place], str]


@dataclass(frozen=True, slots=True)
class Body:
    """A task of a known kind: its members, and the common ones, which were read already."""

    place: Place
    members: Mapping[str, Place]
    common: dict[str, Any]
    lists: Lists


def read_kind(kind: str, body: Body, reading: Reading, scope: Scope) -> Task:
    """Read a task by its kind."""
    return _READERS[kind](body, reading, scope)


def _read_do(body: Body, reading: Reading, scope: Scope) -> Do:
    return Do(**body.common, tasks=body.lists.tasks(body.members["do"], "'do'", reading, scope.deeper()))


def _read_set(body: Body, reading: Reading, scope: Scope) -> Set:
    data = body.members["set"]
    if isinstance(data.value, str):
        if wrapped(data.value) is None:
            data.refuse("'set' needs to be an object or an expression in ${ }")
    elif not data.pairs("'set'"):
        data.refuse("'set' is empty")
    return Set(**body.common, data=reading.template(data, scope, Stage.INSIDE))


def _read_switch(body: Body, reading: Reading, scope: Scope) -> Switch:
    cases: list[Case] = []
    seen: set[str] = set()
    last = False
    for item in body.members["switch"].items("'switch'"):
        name, inside = item.item("an item of a switch")
        members = inside.members("a case", ("when", "then"), ("then",))
        if name in seen:
            inside.refuse("two cases of one switch have this name")
        when = read_condition(members.get("when"), "'when'", reading, scope, Stage.INSIDE)
        if when is None and last:
            inside.refuse("a switch has at most one case without 'when', and there was one before")
        seen.add(name)
        last = last or when is None
        cases.append(Case(name=name, when=when, then=body.lists.target(members["then"])))
    return Switch(**body.common, cases=tuple(cases))


def _read_for(body: Body, reading: Reading, scope: Scope) -> For:
    loop = body.members["for"].members("'for'", ("each", "in", "at"), ("in",))
    if "do" not in body.members:
        body.place.refuse("a for task needs 'do'")
    item = loop["each"].variable("'each'", RESERVED) if "each" in loop else "item"
    index = loop["at"].variable("'at'", RESERVED) if "at" in loop else "index"
    if item == index:
        body.members["for"].refuse(f"the item and its index are both named '{item}'")
    inside = scope.adding(item, index)
    return For(
        **body.common,
        collection=reading.expression(loop["in"], "'in'", scope, Stage.INSIDE),
        item=item,
        index=index,
        while_=read_condition(body.members.get("while"), "'while'", reading, inside, Stage.INSIDE),
        tasks=body.lists.tasks(body.members["do"], "'do'", reading, inside.deeper()),
    )


def _read_fork(body: Body, reading: Reading, scope: Scope) -> Fork:
    fork = body.members["fork"].members("'fork'", ("branches", "compete"), ("branches",))
    return Fork(
        **body.common,
        branches=body.lists.branches(fork["branches"], reading, scope.deeper()),
        compete="compete" in fork and fork["compete"].flag("'compete'"),
    )


def _read_try(body: Body, reading: Reading, scope: Scope) -> Try:
    if "catch" not in body.members:
        body.place.refuse("a try task needs 'catch'")
    catch = body.members["catch"].members("'catch'", ("errors", "as", "when", "exceptWhen", "retry", "do"))
    name = catch["as"].variable("'as'", RESERVED) if "as" in catch else "error"
    inside = scope.adding(name)
    read = Catch(
        errors=read_filter(catch.get("errors")),
        name=name,
        when=read_condition(catch.get("when"), "'when'", reading, inside, Stage.INSIDE),
        except_when=read_condition(catch.get("exceptWhen"), "'exceptWhen'", reading, inside, Stage.INSIDE),
        retry=_read_retry(catch.get("retry"), reading, inside, scope),
    )
    tried = body.lists.tasks(body.members["try"], "'try'", reading, scope.deeper())
    caught = () if "do" not in catch else body.lists.tasks(catch["do"], "'do'", reading, inside.deeper())
    return Try(**body.common, tasks=tried, catch=read, catch_tasks=caught)


def _read_retry(place: Place | None, reading: Reading, scope: Scope, around: Scope) -> RetryPolicy | None:
    if place is None:
        return None
    if not isinstance(place.value, str):
        return read_retry(place, reading, scope, around)
    known = reading.shared.retries
    policy = known[place.named("retry policy", known, "use.retries")]
    durations = (policy.delay, policy.attempt_duration, policy.max_duration, *(policy.jitter or ()))
    expressions = (policy.when, policy.except_when, *(d.value for d in durations if d is not None))
    reads = any(isinstance(e, Expression) and "error" in e.variables for e in expressions)
    if reads and "error" not in scope.names:
        place.refuse("this retry policy reads $error, but the catch gives the error another name")
    return policy


def _read_raise(body: Body, reading: Reading, scope: Scope) -> Raise:
    error = body.members["raise"].members("'raise'", ("error",), ("error",))["error"]
    if isinstance(error.value, str):
        known = reading.shared.errors
        return Raise(**body.common, problem=known[error.named("error", known, "use.errors")])
    return Raise(**body.common, problem=read_problem(error, reading, scope))


def _read_wait(body: Body, reading: Reading, scope: Scope) -> Wait:
    return Wait(**body.common, duration=reading.duration(body.members["wait"], "'wait'", scope, Stage.INSIDE))


def _read_listen(body: Body, reading: Reading, scope: Scope) -> Listen:
    listen = body.members["listen"].members("'listen'", ("to", "read"), ("to",))
    each = body.members.get("foreach")
    return Listen(
        **body.common,
        to=read_consumption(listen["to"], reading, scope),
        read=Read(listen["read"].choice("'read'", _READS)) if "read" in listen else Read.DATA,
        each=None if each is None else _read_each(each, body.lists, reading, scope),
    )


def _read_each(place: Place, lists: Lists, reading: Reading, scope: Scope) -> EachEvent:
    members = place.members("'foreach'", ("item", "at", "do", "output", "export"))
    item = members["item"].variable("'item'", RESERVED) if "item" in members else "item"
    index = members["at"].variable("'at'", RESERVED) if "at" in members else "index"
    if item == index:
        place.refuse(f"the item and its index are both named '{item}'")
    inside = scope.adding(item, index)
    todo = members.get("do")
    return EachEvent(
        item=item,
        index=index,
        tasks=() if todo is None else lists.tasks(todo, "'do'", reading, inside.deeper()),
        output=read_shape(members.get("output"), "output", reading, inside, Stage.INSIDE),
        export=read_shape(members.get("export"), "export", reading, inside, Stage.EXPORT),
    )


def _read_emit(body: Body, reading: Reading, scope: Scope) -> Emit:
    event = body.members["emit"].members("'emit'", ("event",), ("event",))["event"]
    attributes = event.members("'event'", ("with",), ("with",))["with"]
    return Emit(**body.common, attributes=read_attributes(attributes, reading, scope))


def _read_call(body: Body, reading: Reading, scope: Scope) -> Call:
    place = body.place
    call = read_call(place, reading, scope)
    if isinstance(call, str):
        arguments = read_arguments(place.at("with") if "with" in place.value else None, reading, scope)
        function = body.lists.function(call, place.at("call"), reading, scope.deeper())
        call = FunctionCall(name=call, function=function, arguments=arguments)
    return Call(**body.common, call=call)


def _read_run(body: Body, reading: Reading, scope: Scope) -> Run:
    run = body.members["run"]
    kind = run.one_of("'run'", ("workflow", *_FOREIGN), ("await", "return"))
    if kind in _FOREIGN:
        run.at(kind).refuse(
            f"'run: {kind}' is not supported: a worker runs no foreign code; call a capability"
        )
    child = run.at("workflow").members("'workflow'", ("namespace", "name", "version", "input"), ("name",))
    for label in ("namespace", "version"):
        if label in child:
            child[label].text(f"'{label}'")
    returns = run.at("return").choice("'return'", ("stdout", "none")) if "return" in run.value else "stdout"
    arguments = child.get("input")
    return Run(
        **body.common,
        process=reading.reference(child["name"], "a process", ReferenceUse.PROCESS),
        arguments=None if arguments is None else reading.template(arguments, scope, Stage.INSIDE),
        await_="await" not in run.value or run.at("await").flag("'await'"),
        returns=returns == "stdout",
    )


_READERS: dict[str, Callable[[Body, Reading, Scope], Task]] = {
    "do": _read_do,
    "set": _read_set,
    "switch": _read_switch,
    "for": _read_for,
    "fork": _read_fork,
    "try": _read_try,
    "raise": _read_raise,
    "wait": _read_wait,
    "listen": _read_listen,
    "emit": _read_emit,
    "call": _read_call,
    "run": _read_run,
}
