"""Errors of a process: their form, and the standard ones, under both families of published names."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """An error as RFC 7807 describes it; `instance` is a JSON pointer to the task."""

    type: str
    status: int
    title: str = ""
    detail: str = ""
    instance: str = ""


STATUSES = {
    "configuration": 400,
    "validation": 400,
    "expression": 400,
    "authentication": 401,
    "authorization": 403,
    "timeout": 408,
    "communication": 500,
    "runtime": 500,
}
"""The standard errors, by the last segment of their URI, with the status that each has."""

_FAMILY = "https://serverlessworkflow.io/spec/1.0.0/errors/"
_IN_A_FAMILY = re.compile(
    r"https://serverlessworkflow\.io/(?:spec/[0-9.]+/errors|dsl/errors/types)/([^/?#]*)"
).fullmatch


def error_uri(name: str) -> str:
    """The URI under which a standard error is raised."""
    return _FAMILY + name


def name_in_family(uri: str) -> str | None:
    """The last segment of a URI in one of the two families, also of an unknown error."""
    match = _IN_A_FAMILY(uri)
    return None if match is None else match.group(1)


def same_error_type(one: str, other: str) -> bool:
    """Whether two URIs name the same type of error: the families are one."""
    name = name_in_family(one)
    return one == other or (name is not None and name == name_in_family(other))
