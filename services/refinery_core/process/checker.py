"""Reads the solutions of Process and Capability Vibes; refuses with a sentence and a JSON pointer."""

from __future__ import annotations

import re
from typing import Any

from refinery_core.process.authentications import read_authentication
from refinery_core.process.cron import cron_problem
from refinery_core.process.errors import read_problem, read_retry
from refinery_core.process.faults import ProcessFault
from refinery_core.process.model import Call, Capability, Process, Schedule
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Shared, Stage, fixed_duration
from refinery_core.process.shapes import read_shape
from refinery_core.process.tasks import Targets, read_function, read_task, read_tasks, read_timeout
from refinery_core.texts import cut

__all__ = ["ProcessFault", "read_capability", "read_process"]

_TOP = ("document", "input", "use", "do", "timeout", "output", "schedule", "evaluate")
_DOCUMENT = ("dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata")
_USE = ("secrets", "authentications", "errors", "timeouts", "retries", "functions")
_UNSUPPORTED = ("extensions", "catalogs")
_CAPABILITY = ("call", "with", "input", "output", "timeout", "metadata", "use")
_CAPABILITY_USE = ("secrets", "authentications", "timeouts")

_VERSION = r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
_IS_VERSION = re.compile(rf"{_VERSION}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?").fullmatch
_IS_DSL = re.compile(r"1\.0\.(?:0|[1-9][0-9]*)").fullmatch
_IS_LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?").fullmatch

_ALONE = Targets((), "a capability has no task beside it")
_WITHOUT_PROCESS = Scope(without=frozenset({"context", "workflow"}))
_SECOND = 1_000


def read_process(solution: Any) -> Process:
    """
    Read a workflow document.

    Raises:
        ProcessFault: It is refused; the path is that of the mistake.
    """
    root = Place(solution)
    members = root.members("a process", _TOP, ("document", "do"))
    document = _read_document(members["document"])
    reading, scope = Reading(), Scope()
    _read_use(members.get("use"), _USE, reading, scope)
    _check_evaluate(members.get("evaluate"))
    for name in reading.shared.functions:
        read_function(name, reading.shared.functions[name], reading, scope)
    return Process(
        **document,
        input=read_shape(members.get("input"), "input", reading, scope, Stage.WORKFLOW),
        tasks=read_tasks(members["do"], "'do'", reading, scope),
        output=read_shape(members.get("output"), "output", reading, scope, Stage.WORKFLOW_OUTPUT),
        timeout=read_timeout(members.get("timeout"), reading, scope, Stage.WORKFLOW),
        schedule=_read_schedule(members.get("schedule")),
        secrets=reading.shared.secrets,
        references=tuple(reading.references),
        schemas=tuple(reading.schemas),
        definition=solution,
    )


def read_capability(solution: Any) -> Capability:
    """
    Read a function document: one call, with the schemas of its input and its output.

    Raises:
        ProcessFault: It is refused; the path is that of the mistake.
    """
    root = Place(solution)
    members = root.members("a capability", _CAPABILITY, ("call",))
    reading = Reading(capability=True)
    _read_use(members.get("use"), _CAPABILITY_USE, reading, _WITHOUT_PROCESS)
    task = Place({key: value for key, value in solution.items() if key != "use"})
    call = read_task("call", task, reading, _WITHOUT_PROCESS, _ALONE)
    assert isinstance(call, Call)
    return Capability(
        call=call,
        secrets=reading.shared.secrets,
        references=tuple(reading.references),
        schemas=tuple(reading.schemas),
    )


def _read_document(place: Place) -> dict[str, Any]:
    members = place.members("'document'", _DOCUMENT, ("dsl", "namespace", "name", "version"))
    dsl = members["dsl"].text("'dsl'")
    if not _IS_DSL(dsl):
        members["dsl"].refuse(
            f"the version of the language needs to be 1.0.x, such as 1.0.3, not '{cut(dsl)}'"
        )
    for key in ("namespace", "name"):
        if not _IS_LABEL(members[key].text(f"'{key}'")):
            members[key].refuse(f"'{key}' has 1 to 63 letters, digits and inner hyphens")
    if not _IS_VERSION(members["version"].text("'version'")):
        members["version"].refuse("'version' needs to be a semantic version, such as 0.1.0")
    for key in ("tags", "metadata"):
        if key in members:
            members[key].pairs(f"'{key}'")
    texts = ("namespace", "name", "version", "title", "summary")
    return {key: members[key].text(f"'{key}'") for key in texts if key in members}


def _read_use(place: Place | None, known: tuple[str, ...], reading: Reading, scope: Scope) -> None:
    """Read what `use` defines; the order matters, since authentications name secrets."""
    if place is None:
        return
    for key in _UNSUPPORTED:
        if key in place.pairs("'use'"):
            place.at(key).refuse(f"'{key}' are not supported")
    members = place.members("'use'", known)
    shared = reading.shared = Shared()
    if "secrets" in members:
        items = members["secrets"].items("'secrets'", empty=True)
        shared.secrets = frozenset(item.secret("the name of a secret") for item in items)
    for name, inside in _pairs(members, "authentications"):
        authentication = read_authentication(inside, reading, scope)
        assert authentication is not None
        shared.authentications[name] = authentication
    for name, inside in _pairs(members, "errors"):
        shared.errors[name] = read_problem(inside, reading, scope)
    for name, inside in _pairs(members, "timeouts"):
        after = inside.members("a timeout", ("after",), ("after",))["after"]
        shared.timeouts[name] = reading.duration(after, "'after'", scope, Stage.WORKFLOW)
    for name, inside in _pairs(members, "retries"):
        shared.retries[name] = read_retry(inside, reading, scope.adding("error"), scope)
    shared.functions = dict(_pairs(members, "functions"))


def _pairs(members: dict[str, Place], key: str) -> list[tuple[str, Place]]:
    return list(members[key].pairs(f"'{key}'").items()) if key in members else []


def _check_evaluate(place: Place | None) -> None:
    if place is None:
        return
    members = place.members("'evaluate'", ("language", "mode"))
    if "language" in members:
        members["language"].choice("the language of expressions", ("jq",))
    if "mode" in members and members["mode"].text("'mode'") != "strict":
        members["mode"].refuse("expressions are evaluated in strict mode only: each stands in ${ }")


def _read_schedule(place: Place | None) -> Schedule | None:
    if place is None:
        return None
    kind = place.one_of("'schedule'", ("cron", "every", "after", "on"))
    inside = place.at(kind)
    if kind == "after":
        inside.refuse("a schedule 'after' the last execution is not supported; 'every' and 'cron' are")
    if kind == "on":
        inside.refuse(
            "a schedule 'on' events is not supported; start with a listen task, or use 'every' or 'cron'"
        )
    if kind == "cron":
        cron = inside.constant("'cron'")
        if (problem := cron_problem(cron)) is not None:
            inside.refuse(problem)
        return Schedule(cron=cron)
    every = fixed_duration(inside, "'every'")
    if every < _SECOND or every % _SECOND:
        inside.refuse("'every' has whole seconds, and at least one")
    return Schedule(every=every)
