"""What tasks are made of: expressions, templates, durations, errors, retries, references."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from refinery_core.vibe.refs import AugUri

CONTINUE, EXIT, END = "continue", "exit", "end"
DIRECTIVES = (CONTINUE, EXIT, END)
"""Where to go on: to the next task, out of the list of tasks, or to the end of the process."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A jq expression without its `${ }`, and the variables that it reads (without `$`)."""

    source: str
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Template:
    """JSON in which each string of the form `${ … }` is replaced by its Expression."""

    value: Any
    constant: bool
    """Whether there is no expression in it: then `value` is plain JSON."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: milliseconds, or an expression that gives an ISO 8601 duration."""

    value: int | Expression


class ReferenceUse(enum.StrEnum):
    """What a referenced Vibe is to the process."""

    CAPABILITY = "capability"
    PROCESS = "process"
    SCHEMA = "schema"
    DOCUMENT = "document"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class Reference:
    """One `aug:` reference in a document: where it stands, what it names, what for."""

    pointer: str
    uri: AugUri
    use: ReferenceUse


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON Schema for data: written inline, or that of a Vibe."""

    document: Any = None
    reference: AugUri | None = None
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """How data is checked and reshaped on its way: `input`, `output` or `export`."""

    schema: Schema | None = None
    template: Template | None = None
    """None leaves the data as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error to raise, after RFC 7807; its instance defaults to where it is raised."""

    type: str | Expression
    status: int
    instance: str | Expression | None = None
    title: str | Expression | None = None
    detail: str | Expression | None = None


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """Which errors to catch; None takes any. Types are compared by `standard_errors.same_error_type`."""

    type: str | None = None
    status: int | None = None
    instance: str | None = None
    title: str | None = None
    detail: str | None = None


class Backoff(enum.StrEnum):
    """How the delay grows: not, by itself, or doubling."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Whether, when and how often to try again; None means without limit, or no delay."""

    when: Expression | None = None
    except_when: Expression | None = None
    delay: Duration | None = None
    backoff: Backoff = Backoff.CONSTANT
    jitter: tuple[Duration, Duration] | None = None
    max_attempts: int | None = None
    """Retries, not counting the first try."""
    attempt_duration: Duration | None = None
    max_duration: Duration | None = None


@dataclass(frozen=True, slots=True)
class Catch:
    """What a `try` catches, and what it does then: retry first, `do` once retries are used up."""

    errors: ErrorFilter = field(default_factory=ErrorFilter)
    name: str = "error"
    when: Expression | None = None
    except_when: Expression | None = None
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class Authentication:
    """
    How to prove who calls: by `basic`, `bearer`, or a token that is asked for by `oauth2` or `oidc`.

    The values come from a secret, or from a template: texts by their paths, such as `client.id`.
    """

    scheme: str
    secret: str | None = None
    values: Template | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to call: a URI template or an expression."""

    uri: str | Expression
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class Correlation:
    """Links events: `source` is evaluated on the event and must give what is expected, or the first value."""

    source: Expression
    expect: str | Expression | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant: attributes to match, and correlations by name."""

    attributes: dict[str, Template]
    correlate: dict[str, Correlation] = field(default_factory=dict)


class Wanted(enum.StrEnum):
    """How many of the filters need an event."""

    ONE = "one"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Consumption:
    """What to listen to. ANY without filters takes each event; without `until` the first one ends it."""

    wanted: Wanted
    filters: tuple[EventFilter, ...]
    until: Expression | Consumption | None = None
