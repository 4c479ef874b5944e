"""Reads errors, the filters that catch them, and retry policies."""

from __future__ import annotations

import re

from refinery_core.process.parts import Backoff, Duration, ErrorFilter, Expression, Problem, RetryPolicy
from refinery_core.process.place import Place, unknown
from refinery_core.process.reading import Reading, Scope, Stage
from refinery_core.process.standard_errors import STATUSES, name_in_family
from refinery_core.texts import cut

_PROBLEM = ("type", "status", "instance", "title", "detail")
_FILTER = ("type", "status", "instance", "title", "detail", "details")
_RETRY = ("when", "exceptWhen", "delay", "backoff", "limit", "jitter")
_IS_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+").fullmatch
_IS_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*").fullmatch


def read_problem(place: Place, reading: Reading, scope: Scope) -> Problem:
    """Read an error to raise."""
    members = place.members("an error", _PROBLEM, ("type", "status"))
    read = {
        key: reading.text(members[key], f"'{key}'", scope, Stage.INSIDE)
        for key in ("type", "instance", "title", "detail")
        if key in members
    }
    if isinstance(type_ := read["type"], str):
        _check_type(members["type"], type_)
    if isinstance(instance := read.get("instance"), str) and not _IS_POINTER(instance):
        members["instance"].refuse("'instance' needs to be a JSON pointer, such as /do/0/name")
    return Problem(
        type=type_,
        status=members["status"].integer("'status'", 100, 599),
        instance=instance,
        title=read.get("title"),
        detail=read.get("detail"),
    )


def read_filter(place: Place | None) -> ErrorFilter:
    """Read `catch.errors`."""
    if place is None:
        return ErrorFilter()
    inside = place.members("'errors'", ("with",)).get("with")
    if inside is None:
        return ErrorFilter()
    members = inside.members("an error filter", _FILTER)
    if not members:
        inside.refuse("an error filter needs at least one of type, status, instance, title and detail")
    if "detail" in members and "details" in members:
        inside.refuse("an error filter needs 'detail' or 'details', not both")
    status = members.pop("status", None)
    texts = {key: _fixed(member, key) for key, member in members.items()}
    if "type" in texts:
        _check_type(members["type"], texts["type"])
    return ErrorFilter(
        type=texts.get("type"),
        status=None if status is None else status.integer("'status'", 100, 599),
        instance=texts.get("instance"),
        title=texts.get("title"),
        detail=texts.get("detail", texts.get("details")),
    )


def _fixed(place: Place, key: str) -> str:
    text = place.text(f"'{key}'")
    if "${" in text:
        place.refuse("an error filter compares with fixed values; use 'when' for an expression")
    return text


def _check_type(place: Place, uri: str) -> None:
    if not _IS_TYPE(uri):
        place.refuse(f"the type of an error is a URI, not '{cut(uri)}'")
    name = name_in_family(uri)
    if name is not None and name not in STATUSES:
        place.refuse(unknown("there is no standard error", name, STATUSES))


def read_retry(place: Place, reading: Reading, scope: Scope, around: Scope) -> RetryPolicy:
    """Read a retry policy; the duration of an attempt has the scope `around` the catch, without the error."""
    members = place.members("a retry policy", _RETRY)
    inside = Stage.INSIDE
    delay, limit = members.get("delay"), members.get("limit")
    limits = {} if limit is None else limit.members("'limit'", ("attempt", "duration"))
    attempt = limits.get("attempt")
    attempts = {} if attempt is None else attempt.members("'attempt'", ("count", "duration"))
    count, each, all_ = attempts.get("count"), attempts.get("duration"), limits.get("duration")
    return RetryPolicy(
        when=read_condition(members.get("when"), "'when'", reading, scope, inside),
        except_when=read_condition(members.get("exceptWhen"), "'exceptWhen'", reading, scope, inside),
        delay=None if delay is None else reading.duration(delay, "'delay'", scope, inside),
        backoff=_read_backoff(members.get("backoff")),
        jitter=None if "jitter" not in members else _read_jitter(members["jitter"], reading, scope),
        max_attempts=None if count is None else count.integer("'count'", 0, 1_000_000),
        attempt_duration=None if each is None else reading.duration(each, "'duration'", around, inside),
        max_duration=None if all_ is None else reading.duration(all_, "'duration'", scope, inside),
    )


def read_condition(
    place: Place | None, what: str, reading: Reading, scope: Scope, stage: Stage
) -> Expression | None:
    """Read a condition, if there is one."""
    return None if place is None else reading.expression(place, what, scope, stage)


def _read_backoff(place: Place | None) -> Backoff:
    if place is None:
        return Backoff.CONSTANT
    kind = place.one_of("'backoff'", tuple(backoff.value for backoff in Backoff))
    place.at(kind).members(f"'{kind}'", ())
    return Backoff(kind)


def _read_jitter(place: Place, reading: Reading, scope: Scope) -> tuple[Duration, Duration]:
    members = place.members("'jitter'", ("from", "to"), ("from", "to"))
    low = reading.duration(members["from"], "'from'", scope, Stage.INSIDE)
    high = reading.duration(members["to"], "'to'", scope, Stage.INSIDE)
    if isinstance(low.value, int) and isinstance(high.value, int) and low.value > high.value:
        place.refuse("'jitter' ends before it begins: 'from' is longer than 'to'")
    return low, high
