"""Reads the events that a process waits for and sends."""

from __future__ import annotations

import re

from refinery_core.process.endpoints import read_uri
from refinery_core.process.errors import read_condition
from refinery_core.process.parts import Consumption, Correlation, EventFilter, ReferenceUse, Template, Wanted
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Stage, wrapped
from refinery_core.vibe.refs import SCHEME

_WANTED = tuple(wanted.value for wanted in Wanted)
_URIS = ("source", "dataschema")
_TEXTS = ("id", "type", "time", "subject", "datacontenttype")
_AUTHOR = "author_ref"
STRINGS = frozenset((*_URIS, *_TEXTS, _AUTHOR))
"""Attributes of an event that are strings; others may be numbers and booleans too."""
OF_PATTERNS = frozenset("\\^$*+?()[]{}|")
"""Characters that make a text in a filter a regular expression."""
_IS_ATTRIBUTE = re.compile(r"[a-z0-9]+").fullmatch


def read_attributes(place: Place, reading: Reading, scope: Scope) -> dict[str, Template]:
    """Read the attributes of an event to send."""
    what = "an event to emit"
    for key in ("source", "type"):
        if key not in place.pairs(what):
            place.refuse(f"{what} needs '{key}'")
    return _read_properties(place, what, reading, scope)


def _read_properties(
    place: Place, what: str, reading: Reading, scope: Scope, *, patterns: bool = False
) -> dict[str, Template]:
    read: dict[str, Template] = {}
    for key, value in place.pairs(what).items():
        if not _IS_ATTRIBUTE(key) and key != _AUTHOR:
            value.refuse("an attribute of an event is named with small letters and digits")
        if key in _URIS and not (patterns and _is_like_a_pattern(value)):
            text = read_uri(value, f"'{key}'", reading, scope)
            read[key] = Template(text, isinstance(text, str))
            continue
        if key in _URIS or key in _TEXTS:
            value.text(f"'{key}'")
        elif key == _AUTHOR and isinstance(value.value, str) and value.value.startswith(SCHEME):
            reading.reference(value, "the Role that an event comes from", ReferenceUse.ROLE)
        read[key] = reading.template(value, scope, Stage.INSIDE)
    return read


def _is_like_a_pattern(place: Place) -> bool:
    text = place.value
    return isinstance(text, str) and wrapped(text) is None and not OF_PATTERNS.isdisjoint(text)


def read_consumption(place: Place, reading: Reading, scope: Scope, *, nested: bool = False) -> Consumption:
    """Read the events to wait for."""
    what = "'until'" if nested else "'to'"
    wanted = Wanted(place.one_of(what, _WANTED, () if nested else ("until",)))
    inside = place.at(wanted.value)
    if wanted is Wanted.ONE:
        filters = [_read_filter(inside, reading, scope)]
    else:
        items = inside.items(f"'{wanted}'", empty=wanted is Wanted.ANY)
        filters = [_read_filter(item, reading, scope) for item in items]
    until: Consumption | None = None
    condition = None
    if "until" in place.value:
        end = place.at("until")
        if wanted is not Wanted.ANY:
            end.refuse("'until' belongs to 'any'; 'one' and 'all' end by themselves")
        if isinstance(end.value, dict):
            until = read_consumption(end, reading, scope, nested=True)
        else:
            condition = read_condition(end, "'until'", reading, scope, Stage.INSIDE)
    return Consumption(wanted, tuple(filters), until or condition)


def _read_filter(place: Place, reading: Reading, scope: Scope) -> EventFilter:
    members = place.members("an event filter", ("with", "correlate"), ("with",))
    attributes = _read_properties(members["with"], "'with'", reading, scope, patterns=True)
    if not attributes:
        members["with"].refuse("an event filter needs at least one attribute")
    correlate = members.get("correlate")
    pairs = {} if correlate is None else correlate.pairs("'correlate'")
    return EventFilter(
        attributes, {key: _read_correlation(pair, reading, scope) for key, pair in pairs.items()}
    )


def _read_correlation(place: Place, reading: Reading, scope: Scope) -> Correlation:
    members = place.members("a correlation", ("from", "expect"), ("from",))
    expect = members.get("expect")
    return Correlation(
        reading.expression(members["from"], "'from'", scope, Stage.INSIDE),
        None if expect is None else reading.text(expect, "'expect'", scope, Stage.INSIDE),
    )
