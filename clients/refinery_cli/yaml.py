"""Reads YAML 1.2 as JSON: `on` and dates are strings, numbers are exact, and aliases cannot explode."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from refinery_cli.failures import Usage
from refinery_core.vibe.documents import MAX_DEPTH, parse

MAX_PARTS = 1_000_000
"""What a document may hold once its aliases are written out; a document of 1 MiB has less than that."""

_AROUND = 3
"""The levels of a request around its documents."""

_IS_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch


class _Json(SafeConstructor):
    """Makes of every scalar what JSON would make of it."""

    def number(self, node: ScalarNode) -> Any:
        """Make a number, exactly."""
        if _IS_JSON_NUMBER(node.value):
            return parse(node.value).value
        whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)

    def text(self, node: ScalarNode) -> str:
        """Take a scalar as it is written."""
        return str(node.value)


_Json.add_constructor("tag:yaml.org,2002:int", _Json.number)
_Json.add_constructor("tag:yaml.org,2002:float", _Json.number)
_Json.add_constructor("tag:yaml.org,2002:timestamp", _Json.text)


def read_yaml(text: str, source: str) -> Any:
    """
    The one document in a YAML text.

    Raises:
        Usage: It is not YAML, or more than a JSON document can be.
    """
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Json
    try:
        value = reader.load(text)
    except (YAMLError, ValueError, RecursionError) as fault:
        raise Usage(f"{source} is not YAML: {_problem(fault)}.") from None
    check_size(value, source)
    return value


def check_size(value: Any, source: str) -> None:
    """
    Walk with the aliases written out, and stop where that is more than any document may hold.

    Raises:
        Usage: It is.
    """
    parts = 0
    todo = [(value, 0)]
    while todo:
        part, depth = todo.pop()
        parts += 1
        if parts > MAX_PARTS or depth > MAX_DEPTH + _AROUND:
            raise Usage(f"{source} is nested too deeply, or too large once its aliases are written out.")
        if isinstance(part, dict | list):
            members = part.values() if isinstance(part, dict) else part
            todo.extend((member, depth + 1) for member in members)


def _problem(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    return " ".join(str(fault).split()).rstrip(".")
