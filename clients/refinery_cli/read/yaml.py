"""Reads YAML 1.2 as JSON: `on` and dates are strings, numbers are exact, and aliases cannot explode."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from refinery_cli.show.failures import Usage
from refinery_core.vibe.documents import MAX_DEPTH, DocumentFault, from_value, parse

MAX_PARTS = 1_000_000
"""The most values after expanding aliases; a document of 1 MiB has fewer."""

_AROUND = 3
"""The levels of a request around its documents."""

_DECIMAL = re.compile(r"(-?)\+?([0-9]*)\.?([0-9]*)([eE][-+]?[0-9]+)?").fullmatch
"""As in JSON, or as YAML allows beyond it: a sign `+`, zeros before, nothing on one side of the point."""


class _Json(SafeConstructor):
    """Reads every scalar as JSON would read it."""

    def number(self, node: ScalarNode) -> Any:
        """Make a number, exactly."""
        whole = node.tag == "tag:yaml.org,2002:int"
        found = _DECIMAL(node.value)
        if found is None:
            return from_value(
                self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
            ).value
        sign, digits, fraction, power = found.groups(default="")
        point = "" if whole else f".{fraction or '0'}{power}"
        return parse(f"{sign}{digits.lstrip('0') or '0'}{point}").value

    def text(self, node: ScalarNode) -> str:
        """Take a scalar as it is written."""
        return str(node.value)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Make an object, whose keys are strings."""
        self.flatten_mapping(node)
        for key, _ in node.value:
            if not isinstance(self.construct_object(key, deep=True), str):
                name = f"'{key.value}'" if isinstance(key, ScalarNode) else "a list or an object"
                problem = f"the key {name} is no string; write it in quotes"
                raise ConstructorError(None, None, problem, key.start_mark)
        return super().construct_mapping(node, deep)

    def check_mapping_key(self, _: Any, key_node: Any, mapping: Any, key: Any, __: Any) -> bool:
        """Check that a key occurs once."""
        if key in mapping:
            raise ConstructorError(None, None, f"the key '{key}' occurs twice", key_node.start_mark)
        return True


_Json.add_constructor("tag:yaml.org,2002:int", _Json.number)
_Json.add_constructor("tag:yaml.org,2002:float", _Json.number)
_Json.add_constructor("tag:yaml.org,2002:timestamp", _Json.text)


def read_yaml(text: str, source: str) -> Any:
    """
    The one document in a YAML text.

    Raises:
        Usage: It is not YAML, or too large for a JSON document.
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
    Walk with expanded aliases, and stop beyond the limit of a document.

    Raises:
        Usage: The limit is exceeded.
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
    if isinstance(fault, DocumentFault):
        return fault.problem
    mark = getattr(fault, "problem_mark", None)
    if isinstance(fault, MarkedYAMLError) and mark is not None:
        told = ", ".join(filter(None, (fault.context, fault.problem)))
        return f"{told} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(fault).split()).rstrip(".")
