"""The parts of tasks: expressions, templates, durations, errors, retries, references."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from refinery_core.vibe.refs import AugUri

CONTINUE, EXIT, END = "continue", "exit", "end"
DIRECTIVES = (CONTINUE, EXIT, END)
"""Directives: to the next task, out of the list of tasks, or to the end of the process."""


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
    """The use of a referenced Vibe in the process."""

    CAPABILITY = "capability"
    PROCESS = "process"
    SCHEMA = "schema"
    DOCUMENT = "document"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class Reference:
    """One `aug:` reference in a document: its place, its URI, its use."""

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
    """The check and the transformation of data in `input`, `output` or `export`."""

    schema: Schema | None = None
    template: Template | None = None
    """None leaves the data as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error to raise, after RFC 7807; its instance defaults to the task that raises it."""

    type: str | Expression
    status: int
    instance: str | Expression | None = None
    title: str | Expression | None = None
    detail: str | Expression | None = None


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """A filter of errors; None matches any. Types are compared by `standard_errors.same_error_type`."""

    type: str | None = None
    status: int | None = None
    instance: str | None = None
    title: str | None = None
    detail: str | None = None


class Backoff(enum.StrEnum):
    """The growth of a delay: none, linear, or doubling."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The conditions, delays and limits of retries; None means no limit, or no delay."""

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
    """The `catch` of a `try`: it retries first, and carries `do` out once retries are used up."""

    errors: ErrorFilter = field(default_factory=ErrorFilter)
    name: str = "error"
    when: Expression | None = None
    except_when: Expression | None = None
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class Authentication:
    """
    The authentication of a call: `basic`, `bearer`, or a token requested by `oauth2` or `oidc`.

    The values come from a secret, or from a template: texts by their paths, such as `client.id`.
    """

    scheme: str
    secret: str | None = None
    values: Template | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The target of a call: a URI template or an expression."""

    uri: str | Expression
    authentication: Authentication | None = None


@dataclass(frozen=True, slots=True)
class Correlation:
    """A link between events: `source`, evaluated on each, must give `expect`, or the first event's value."""

    source: Expression
    expect: str | Expression | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events: attributes to match, and correlations by name."""

    attributes: dict[str, Template]
    correlate: dict[str, Correlation] = field(default_factory=dict)


class Wanted(enum.StrEnum):
    """The number of filters that need an event."""

    ONE = "one"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Consumption:
    """The events to wait for. ANY without filters takes each event; without `until` the first one ends it."""

    wanted: Wanted
    filters: tuple[EventFilter, ...]
    until: Expression | Consumption | None = None
